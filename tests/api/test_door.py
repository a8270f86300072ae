import re

import pytest

from service.app import create_app
from service.settings import Settings
from tests.fakes import FakeModel


@pytest.fixture
def admission(app):
    return app.extensions["engines"]().admission


@pytest.fixture
def full(admission):
    """A service that holds as many requests as it may."""
    for _ in range(56):
        admission.hold(0)


@pytest.mark.parametrize("body", [{"input": "a"}, {"input": 3}], ids=["right", "wrong"])
def test_a_request_is_held_until_its_answer_is_sent(client, admission, body):
    with client.post("/v1/embeddings", json=body, buffered=False):
        assert admission._requests == 1
    assert admission._requests == 0
    assert admission._bytes == 0


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/engines/a/embeddings", "/v2/embed"])
def test_a_request_that_finds_no_room_is_refused(client, admission, path):
    answer = client.post(path, json={"input": "a"}, headers={"X-Request-ID": "mine"})

    assert answer.status_code == 429
    assert answer.json["error"]["type"] == "rate_limit_error"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-Request-ID"] == "mine"
    assert admission._requests == 56


@pytest.mark.usefixtures("full")
def test_a_request_to_teis_route_is_refused_as_tei_does(client):
    answer = client.post("/embed", json={"inputs": "a"})

    assert (answer.status_code, answer.json["error_type"]) == (429, "Overloaded")


@pytest.mark.usefixtures("full")
def test_a_refused_request_is_counted(client):
    client.post("/v1/embeddings", json={"input": "a"})

    assert 'requests_total{model="fake",route="/v1/embeddings",status="429"} 1.0' in client.get("/metrics").text


@pytest.mark.usefixtures("full")
def test_what_embeds_nothing_needs_no_room(client):
    assert client.get("/v1/models").status_code == 200
    assert client.post("/nowhere").status_code == 404


def test_every_post_that_is_read_into_memory_needs_room(tmp_path):
    """Files go to the disk as they come, and have room of their own."""
    app = create_app(Settings(batches=str(tmp_path / "kept")), FakeModel())
    for _ in range(56):
        app.extensions["engines"]().admission.hold(0)
    rules = [rule.rule for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    answers = {rule: app.test_client().post(re.sub("<.+?>", "a", rule), data=b"{}") for rule in rules}

    assert [rule for rule, answer in answers.items() if answer.status_code != 429] == ["/v1/files"]
    app.extensions["engines"]().close()


@pytest.mark.parametrize("path", ["/v1/embeddings/", "/v1//embeddings", "/embed//"])
def test_slashes_too_many_change_nothing(client, path):
    assert client.post(path, json={"input": "a"}).status_code == 200
