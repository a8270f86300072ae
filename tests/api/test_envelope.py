import io
import json

import pytest

from service import errors
from service.api.envelope import STATUS


def kinds(error):
    return {kind for child in error.__subclasses__() for kind in (child, *kinds(child))}


def test_every_request_error_has_a_status():
    assert set(STATUS) == kinds(errors.RequestError)


BAD_BODIES = [
    (b"", None, "the body is empty"),
    (b"{nope", None, "the body is not JSON: object keys must be strings"),
    ('{"input": "a"}'.encode("utf-16"), None, "looks like UTF-16; encode the JSON as UTF-8"),
    ('{"input": "a"}'.encode("utf-16-be"), None, "looks like UTF-16; encode the JSON as UTF-8"),
    ('{"input": "a"}'.encode("utf-32-le"), None, "looks like UTF-32; encode the JSON as UTF-8"),
    (b'{"input": NaN}', None, "NaN is not a JSON number; send null or leave the member out"),
    (b'{"input": "a", "user": -Infinity}', None, "-Infinity is not a JSON number"),
    (b'{"input": "a", "user": ' + b"[" * 1000 + b"]" * 1000 + b"}", None, "the body is nested too deeply"),
    (b'{"input": "a", "user": ' + b'{"a":' * 3000, None, "the body is nested too deeply"),
    (b'{"input": "\\ud800", "user": ' + b"[" * 15_000, None, "the body is nested too deeply"),
    (b'{"input": ' + b"[" * 1000 + b"]" * 1000 + b"}", "input", "input[0][0]: expected `int`, got `array`"),
    (b'{"input": "\xff"}', None, "encode the JSON as UTF-8"),
    (rb'{"input": "\ud800"}', None, "half of a surrogate pair"),
    (b"[]", None, "the body: expected `object`"),
    (b"{}", None, "missing required field `input`"),
    (b'{"input": 3}', "input", "send a string, a list of strings, or token ids"),
    (b'{"input": null}', "input", "send a string, a list of strings, or token ids"),
    (b'{"input": [1, 200000]}', "input", "input[0]: 200000 is not a token id of cl100k_base"),
    (b'{"input": ["a", 3]}', "input", "input[1]: expected a text, got a number"),
    (b'{"input": []}', "input", "send at least one text"),
    (json.dumps({"input": ["a"] * 2049}).encode(), "input", "input has 2049 texts; send at most 2048"),
]

BAD_OPTIONS = [
    (b'{"input": "a", "dimensions": 5}', "dimensions", "between 1 and 4"),
    (b'{"input": "a", "dimensions": "5"}', "dimensions", "send a positive integer"),
    (b'{"input": "a", "dimensions": true}', "dimensions", "got `bool`; send a positive integer"),
    (b'{"input": "a", "dimensions": 1' + b"0" * 30 + b"}", "dimensions", "between 1 and 4"),
    (b'{"input": "a", "dimensions": 1' + b"0" * 5000 + b"}", "dimensions", "integer value out of range"),
    (b'{"input": "a", "encoding_format": "x - at `$.model`"}', "encoding_format", "send float or base64"),
    (b'{"input": "a", "encoding_format": "hex"}', "encoding_format", "send float or base64"),
    (b'{"input": "a", "model": 3}', "model", "model: expected `str | null`, got `int`"),
]


@pytest.mark.parametrize("route", ["/v1/embeddings", "/embed"])
@pytest.mark.parametrize(("body", "field", "complaint"), BAD_BODIES)
def test_a_bad_request_names_the_field_and_the_fix(client, route, body, field, complaint):
    assert_refused(client.post(route, data=body), 400, field, complaint)


@pytest.mark.parametrize(("body", "field", "complaint"), BAD_OPTIONS)
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


@pytest.mark.parametrize(("size", "status"), [(20_000, 200), (20_001, 413), (200_000, 413)])
def test_a_chunked_body_has_the_same_limit(client, size, status):
    body = io.BytesIO(b'{"input": "a"}'.ljust(size))
    chunked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    answer = client.post("/embed", input_stream=body, environ_overrides=chunked)

    assert answer.status_code == status


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "DEFLATE", "identity, x-gzip"])
def test_a_compressed_body_is_refused_with_its_coding(client, coding):
    answer = client.post("/v1/embeddings", data=b"\x1f\x8b", headers={"Content-Encoding": coding})

    assert_refused(answer, 415, None, f"send it without Content-Encoding: {coding.split()[-1].lower()}")


def test_a_failing_model_keeps_its_reason_to_the_log(client, caplog):
    answer = client.post("/v1/embeddings", json={"input": "poison"})

    assert_refused(answer, 500, None, "the model failed on a text")
    assert "secret" not in answer.text
    assert "secret reason" in caplog.text


def test_a_bug_is_answered_with_a_constant_sentence_and_logged(client, model, caplog):
    model.tokenize = lambda *_: {}["secret"]
    answer = client.post("/v1/embeddings", json={"input": "a"}, buffered=True)

    assert_refused(answer, 500, None, "the server failed on this request; its log has the reason")
    assert "KeyError: 'secret'" in caplog.text
