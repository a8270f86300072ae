import json

import pytest

from service import errors
from service.api.envelope import STATUS


def leaves(kind):
    return {leaf for child in kind.__subclasses__() for leaf in leaves(child)} or {kind}


def test_every_request_error_has_a_status():
    assert set(STATUS) == leaves(errors.RequestError)


BAD_BODIES = [
    (b"", None, "the body is empty"),
    (b"{nope", None, "the body is not JSON"),
    (b'{"input": "\xff"}', None, "encode the JSON as UTF-8"),
    (rb'{"input": "\ud800"}', None, "half of a surrogate pair"),
    (b"[]", None, "the body: expected `object`"),
    (b"{}", None, "missing required field `input`"),
    (b'{"input": 3}', "input", "send a string or a list of strings"),
    (b'{"input": null}', "input", "send a string or a list of strings"),
    (b'{"input": [1, 2]}', "input", "token ids are not supported"),
    (b'{"input": ["a", 3]}', "input", "input[1]: expected `str`, got `int`"),
    (b'{"input": []}', "input", "send at least one text"),
    (json.dumps({"input": ["a"] * 2049}).encode(), "input", "input has 2049 texts; send at most 2048"),
    (b'{"input": "a", "dimensions": 5}', "dimensions", "between 1 and 4"),
    (b'{"input": "a", "dimensions": "5"}', "dimensions", "send a positive integer"),
    (b'{"input": "a", "encoding_format": "hex"}', "encoding_format", "send float or base64"),
    (b'{"input": "a", "model": 3}', "model", "model: expected `str | null`, got `int`"),
]


@pytest.mark.parametrize("route", ["/v1/embeddings", "/embed"])
@pytest.mark.parametrize(("body", "field", "complaint"), BAD_BODIES[:12])
def test_a_bad_request_names_the_field_and_the_fix(client, route, body, field, complaint):
    assert_refused(client.post(route, data=body), 400, field, complaint)


@pytest.mark.parametrize(("body", "field", "complaint"), BAD_BODIES[12:])
def test_a_bad_option_names_the_field_and_the_fix(client, body, field, complaint):
    assert_refused(client.post("/v1/embeddings", data=body), 400, field, complaint)


def assert_refused(answer, status, field, complaint):
    assert answer.status_code == status
    assert complaint in answer.json["message"]
    assert answer.json == {
        "error": {
            "message": answer.json["message"],
            "type": "invalid_request_error" if status < 500 else "server_error",
            "param": field,
            "code": None,
        },
        "message": answer.json["message"],
        "detail": answer.json["message"],
    }


def test_an_unknown_route_is_answered_in_the_envelope(client):
    assert_refused(client.get("/nope"), 404, None, "there is no /nope")


def test_a_wrong_method_is_answered_with_the_right_one(client):
    answer = client.get("/v1/embeddings")

    assert_refused(answer, 405, None, "/v1/embeddings does not take GET; use OPTIONS or POST")
    assert answer.headers["Allow"] == "OPTIONS, POST"


def test_a_body_over_the_limit_is_answered_with_the_limit(client):
    answer = client.post("/v1/embeddings", json={"input": "a" * 20_001})

    assert_refused(answer, 413, None, "larger than 20000 bytes")


def test_a_failing_model_keeps_its_reason_to_the_log(client, caplog):
    answer = client.post("/v1/embeddings", json={"input": "poison"})

    assert_refused(answer, 500, None, "the model failed on this input")
    assert "secret" not in answer.text
    assert "secret reason" in caplog.text


def test_a_bug_is_answered_with_a_constant_sentence_and_logged(client, model, caplog):
    model.tokenize = lambda _: {}["secret"]
    answer = client.post("/v1/embeddings", json={"input": "a"})

    assert_refused(answer, 500, None, "the server failed on this request; its log has the reason")
    assert "KeyError: 'secret'" in caplog.text
