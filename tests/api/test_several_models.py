"""One service with two models and their aliases."""

import pytest

from service.api import cl100k
from service.app import create_app
from service.errors import BadSetting
from service.settings import Settings
from tests.fakes import FakeModel, vector_of


class Reversed(FakeModel):
    name = "reversed"
    fingerprint = "0d" * 32

    def embed(self, batch):
        return super().embed(batch)[:, ::-1]


@pytest.fixture
def client():
    settings = Settings(model_aliases="ada=reversed,gpt=reversed:own,large=fake:cl100k")
    app = create_app(settings, FakeModel(), Reversed())
    yield app.test_client()
    app.extensions["engines"]().close()


def ask(client, model=None, given="abc"):
    return client.post("/v1/embeddings", json={"input": given, "model": model})


def embedding(answer):
    return answer.json["data"][0]["embedding"]


@pytest.mark.parametrize("model", [None, "fake", "large"])
def test_the_first_model_answers_by_default(client, model):
    answer = ask(client, model)

    assert embedding(answer) == vector_of("abc")
    assert answer.json["model"] == model or "fake"


@pytest.mark.parametrize("model", ["reversed", "ada", "gpt"])
def test_the_model_of_a_request_answers_it(client, model):
    answer = ask(client, model)

    assert embedding(answer) == vector_of("abc")[::-1]
    assert answer.json["model"] == model
    assert answer.headers["X-Model-Fingerprint"] == Reversed.fingerprint


def test_an_unknown_model_is_refused_with_the_names_of_all(client):
    answer = ask(client, "text-embedding-3-small")

    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "model_not_found"
    assert answer.json["message"].endswith("this service has fake, reversed, ada, gpt, large")


def test_embed_names_the_model_that_answered(client):
    assert client.post("/embed", json={"input": "abc", "model": "ada"}).json["model"] == "reversed"


def test_models_and_aliases_are_listed_and_described(client):
    listed = client.get("/v1/models").json["data"]

    names = [("fake", "fake"), ("reversed", "reversed"), ("ada", "reversed"), ("gpt", "reversed"), ("large", "fake")]
    assert [(each["id"], each["root"]) for each in listed] == names
    assert [client.get(f"/v1/models/{each['id']}").json for each in listed] == listed
    assert client.get("/v1/models/nothing").status_code == 404


def test_an_alias_says_whose_token_ids_it_takes(client):
    assert embedding(ask(client, "gpt", [97, 98])) == vector_of("ab")[::-1]
    if cl100k.is_installed():
        assert embedding(ask(client, "large", [13806, 15])) == vector_of(cl100k.decode([13806, 15]))
    else:
        assert "cl100k" in ask(client, "large", [97]).json["message"]


def test_ollama_lists_them_all(client):
    names = [each["name"] for each in client.get("/api/tags").json["models"]]

    assert names == ["fake", "reversed", "ada", "gpt", "large"]
    assert client.post("/api/embed", json={"model": "ada:latest", "input": "a"}).status_code == 200


def test_requests_and_queues_are_counted_for_their_model(client):
    for model in ("ada", "reversed", "fake", "nothing"):
        ask(client, model)
    text = client.get("/metrics").text

    for model, status, count in (("reversed", 200, 2), ("fake", 200, 1), ("", 404, 1)):
        assert f'requests_total{{model="{model}",route="/v1/embeddings",status="{status}"}} {count}.0' in text
    assert 'embeddings_tokens_total{model="reversed"} 6.0' in text
    assert 'embeddings_queue_tokens{model="reversed",worker="1"} 0.0' in text
    assert 'embeddings_model_info{model="reversed",revision="c0ffee",worker="1"} 1.0' in text


def test_a_service_of_two_models_is_ready_with_both(client):
    assert client.get("/readyz").json == {"status": "ready", "model": "fake, reversed"}


def test_a_bad_alias_stops_the_start():
    with pytest.raises(BadSetting, match="ada=nothing: there is no such model"):
        create_app(Settings(model_aliases="ada=nothing"), FakeModel())
