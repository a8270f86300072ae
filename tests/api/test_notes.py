import pytest

from tests.fakes import vector_of


@pytest.mark.parametrize("sent", ["abc", ["abc"]])
def test_the_notes_shape_is_kept_member_for_member(client, sent):
    """With true token counts."""
    answer = client.post("/embed", json={"input": sent, "model": "whatever they call it"})

    assert answer.json == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": vector_of("abc"), "index": 0}],
        "model": "fake",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize(
    ("headers", "size", "status"), [({"Content-Encoding": "gzip"}, 2, 415), ({}, 20_001, 413)], ids=["coding", "size"]
)
def test_a_body_that_is_not_read_is_refused_as_tei_does(client, headers, size, status):
    answer = client.post("/embed", data=b"x" * size, headers=headers)

    assert (answer.status_code, answer.json["error_type"]) == (status, "Validation")
