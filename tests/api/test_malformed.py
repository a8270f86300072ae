"""Bodies and headers that are wrong, by the hundred: `make fuzz` tries thousands."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.malformed import ODD_TOKENS, bodies, headers, nestings, values

ROUTES = st.sampled_from(["/v1/embeddings", "/embed"])


@pytest.fixture
def check(client, caplog):
    """Send a request; its answer must be right or explain itself, and the log must have no traceback."""
    caplog.set_level(logging.INFO)

    def check(method, route, **arguments):
        caplog.clear()
        answer = client.open(route, method=method, buffered=True, **arguments)  # else it holds its room
        assert answer.status_code < 500, answer.text
        assert [
            record.getMessage() for record in caplog.records if record.exc_info or record.levelname == "ERROR"
        ] == []
        assert answer.status_code != 429
        if answer.status_code >= 400 and method != "HEAD":
            assert_explained(answer)
        elif method == "POST":
            assert answer.json["object"] == "list"
        return answer

    return check


def assert_explained(answer):
    """The shapes that docs/api.md promises."""
    assert answer.mimetype == "application/json"
    assert 0 < len(answer.json["message"]) < 1000
    if "error_type" in answer.json:  # as TEI, on /embed before the body tells the dialect
        assert answer.json["error"] == answer.json["message"]
        return
    assert set(answer.json) == {"error", "message", "detail"}
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["message"] == answer.json["detail"] == answer.json["error"]["message"]


@given(ROUTES, bodies())
def test_a_mutated_body_is_embedded_or_explained(check, route, body):
    check("POST", route, data=body)


@given(ROUTES, st.sampled_from(["input", "model", "encoding_format", "dimensions", "other"]), values())
def test_any_json_in_a_member_is_embedded_or_explained(check, route, member, value):
    check("POST", route, json={"input": "a", member: value})


@given(ROUTES, values() | st.sampled_from(ODD_TOKENS))
def test_a_body_of_any_json_is_explained(check, route, value):
    assert check("POST", route, json=value).status_code == 400


@given(ROUTES, st.binary(max_size=300))
def test_a_body_of_any_bytes_is_explained(check, route, body):
    assert check("POST", route, data=body).status_code == 400


@given(ROUTES, nestings())
def test_a_deeply_nested_body_is_embedded_or_explained(check, route, body):
    check("POST", route, data=body)


@given(headers())
def test_odd_headers_are_ignored_or_explained(check, given_headers):
    check("POST", "/v1/embeddings", json={"input": "a"}, headers=given_headers)


@given(st.sampled_from(["", "0", "-1", "+5", "5,5", "1e3", "٥", "99999999999999999999", "13", "3000000", "x" * 5000]))
def test_a_length_that_lies_is_explained(check, length):
    check("POST", "/embed", data=b'{"input": "a"}', environ_overrides={"CONTENT_LENGTH": length})


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "get", "A" * 300]),
    st.binary(max_size=30) | st.builds(b"v1/models/%b".__mod__, st.binary(max_size=300)),
)
def test_an_odd_method_or_path_is_explained(check, method, path):
    check(method, "/", environ_overrides={"PATH_INFO": "/" + path.decode("latin-1")})
