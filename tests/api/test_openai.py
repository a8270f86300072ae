import base64

import numpy as np
import pytest

from tests.fakes import vector_of


@pytest.mark.parametrize("route", ["/v1/embeddings", "/embeddings", "/v1/embeddings/", "/v1/embeddings?api-version=1"])
def test_a_string_gives_one_embedding(client, route):
    answer = client.post(route, json={"input": "abc", "model": "m3e"})

    assert answer.json == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": vector_of("abc"), "index": 0}],
        "model": "m3e",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def test_a_list_gives_embeddings_in_its_order(client):
    answer = client.post("/v1/embeddings", json={"input": ["long " * 5, "a", ""]})

    assert [item["embedding"] for item in answer.json["data"]] == [vector_of(text) for text in ("long " * 5, "a", "")]
    assert [item["index"] for item in answer.json["data"]] == [0, 1, 2]


def test_base64_is_little_endian_float32(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "encoding_format": "base64"})

    decoded = np.frombuffer(base64.b64decode(answer.json["data"][0]["embedding"]), "<f4")
    assert decoded.tolist() == vector_of("abc")


def test_dimensions_shortens_the_vectors(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "dimensions": 2})

    assert len(answer.json["data"][0]["embedding"]) == 2


def test_unknown_members_are_ignored_and_null_is_absent(client):
    extras = {"user": "u", "surprise": [1], "model": None, "encoding_format": None, "dimensions": None}
    answer = client.post("/v1/embeddings", json={"input": "abc", **extras})

    assert answer.json["data"][0]["embedding"] == vector_of("abc")
    assert answer.json["model"] == "fake"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_the_content_type(client, content_type):
    answer = client.post("/v1/embeddings", data=b'{"input": "abc"}', content_type=content_type)

    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "identity", None])
def test_a_content_encoding_that_compresses_nothing_is_ignored(client, encoding):
    answer = client.post("/v1/embeddings", json={"input": "abc"}, headers={"Content-Encoding": encoding or ""})

    assert answer.status_code == 200


def test_a_byte_order_mark_is_skipped(client):
    answer = client.post("/v1/embeddings", data='{"input": "abc"}'.encode("utf-8-sig"))

    assert answer.json["data"][0]["embedding"] == vector_of("abc")


def test_of_a_member_that_is_given_twice_the_last_counts(client):
    answer = client.post("/v1/embeddings", data=b'{"input": "abc", "input": "z"}')

    assert answer.json["data"][0]["embedding"] == vector_of("z")


def test_as_many_empty_texts_as_are_allowed_are_embedded(client):
    answer = client.post("/v1/embeddings", json={"input": [""] * 2048})

    assert [item["embedding"] for item in answer.json["data"]] == [vector_of("")] * 2048


def test_the_model_is_listed_and_described(client):
    (listed,) = client.get("/v1/models").json["data"]

    assert listed["id"] == "fake"
    assert client.get("/v1/models/fake").json == listed


def test_an_unknown_model_is_not_found(client):
    answer = client.get("/v1/models/moka-ai/m3e-base")

    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "model_not_found"
