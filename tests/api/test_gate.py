"""Requests with and without an API key."""

import base64
import logging

import pytest

from service import keys, logs
from service.api import ledger
from service.app import create_app
from service.errors import BadSetting
from service.settings import Settings


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "keys")


@pytest.fixture
def key(file):
    return keys.create(file, "search", None)


@pytest.fixture
def guarded(file, key, model):  # noqa: ARG001  # the key makes the file
    app = create_app(Settings(api_keys_file=file), model)
    yield app
    app.extensions["engines"]().close()


@pytest.fixture
def ask(guarded):
    client = guarded.test_client()
    return lambda **headers: client.post(
        "/v1/embeddings",
        json={"input": "abc"},
        headers={name.replace("_", "-"): text for name, text in headers.items()},
    )


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
def test_a_key_is_accepted_with_bearer_and_alone(ask, key, scheme):
    assert ask(Authorization=scheme + key).status_code == 200


def test_a_key_is_accepted_in_the_api_key_header(ask, key):
    assert ask(api_key=key).status_code == 200
    assert ask(api_key=key, Authorization="Bearer none").status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {basic}", "Bearer {key}x"])
def test_a_request_without_a_valid_key_is_refused(ask, key, header):
    basic = base64.b64encode(key.encode()).decode()
    answer = ask(**({} if header is None else {"Authorization": header.format(key=key, basic=basic)}))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json["error"] | {"message": ""} == {
        "message": "",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }


def test_no_part_of_a_refused_key_is_shown_or_logged(ask, caplog):
    answer = ask(Authorization="Bearer emb_something")

    assert "something" not in answer.text + str(answer.headers) + caplog.text


@pytest.mark.parametrize("route", ["/nowhere", "/v1/models", "/embed", "/readyz/../v1/models"])
def test_every_other_route_needs_a_key(guarded, route):
    client = guarded.test_client()

    assert {client.open(route, method=method).status_code for method in ("GET", "POST", "OPTIONS")} == {401}


def test_texts_sent_to_the_root_need_a_key(guarded):
    answer = guarded.test_client().post("/", json={"inputs": "abc"})

    assert answer.status_code == 401
    assert answer.json["error_type"] == "Validation"


@pytest.mark.parametrize("route", ["/", "/ping", "/livez", "/readyz", "/readyz/", "/metrics"])
def test_supervisors_need_no_key(guarded, route):
    assert guarded.test_client().get(route).status_code != 401


@pytest.mark.parametrize("route", ["/openapi.json", "/docs", "/docs/x/start.js"])
def test_the_documentation_needs_no_key(guarded, route):
    assert guarded.test_client().get(route).status_code == 200


def test_a_key_beyond_its_limit_is_told_when_to_come_again(file, key, model):
    limited = keys.create(file, "small", 60)
    app = create_app(Settings(api_keys_file=file), model)
    client = app.test_client()
    first, second, other = (
        client.post("/v1/embeddings", json={"input": "a" * 900}, headers={"api-key": each})
        for each in (limited, limited, key)
    )
    app.extensions["engines"]().close()

    assert (first.status_code, second.status_code, other.status_code) == (200, 429, 200)
    assert 1 <= int(second.headers["Retry-After"]) <= 840
    assert second.json["error"]["code"] == "rate_limit_exceeded"
    assert "the key small has used its 60 tokens a minute" in second.json["message"]


def test_without_a_file_of_keys_nobody_needs_one(client):
    assert client.post("/embed", json={"input": "abc"}, headers={"Authorization": "Bearer x"}).status_code == 200


def test_a_broken_file_stops_the_start(file, model):
    with pytest.raises(BadSetting, match="EMBED_API_KEYS_FILE: no such file"):
        create_app(Settings(api_keys_file=file), model)


def test_the_line_of_a_request_has_the_name_of_its_key_alone(key, guarded, caplog):
    caplog.set_level(logging.INFO)
    answer = guarded.test_client().post("/embed", json={"input": 1}, headers={"api-key": key}, buffered=True)
    (line,) = [record for record in caplog.records if record.name == ledger.__name__]

    assert answer.status_code == 400
    assert line.fields["key"] == "search"
    assert key not in logs.as_text(line)[0]
