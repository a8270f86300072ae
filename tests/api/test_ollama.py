import pytest

from service import errors
from service.api.ollama import STATUS
from tests.api.test_envelope import kinds
from tests.fakes import vector_of


def test_every_request_error_has_a_status():
    assert set(STATUS) == kinds(errors.RequestError)


@pytest.mark.parametrize(("given", "count"), [("abc", 1), (["abc", "d"], 2), ([], 0)])
def test_embed_gives_a_vector_of_length_1_for_each_text(client, given, count):
    answer = client.post("/api/embed", json={"model": "m3e:latest", "input": given, "keep_alive": "5m"}).json

    assert [sum(x * x for x in vector) for vector in answer["embeddings"]] == pytest.approx([1] * count)
    assert answer["model"] == "m3e:latest"
    assert answer["prompt_eval_count"] == sum(map(len, [given] if isinstance(given, str) else given))
    assert answer["total_duration"] > 0


@pytest.mark.parametrize(("given", "vector"), [({"prompt": "abc"}, vector_of("abc")), ({}, [])])
def test_the_older_route_gives_one_vector_of_the_models_own_length(client, given, vector):
    assert client.post("/api/embeddings", json={"model": "m", **given}).json == {"embedding": vector}


def test_the_model_is_listed_and_shown(client):
    (listed,) = client.get("/api/tags").json["models"]
    shown = client.post("/api/show", json={"model": "fake:latest"}).json

    assert (listed["name"], listed["digest"]) == ("fake", "fa" * 32)
    assert shown["capabilities"] == ["embedding"]
    assert shown["model_info"]["embedding.embedding_length"] == 4


def test_a_text_is_refused_if_it_must_not_be_cut(client, model):
    model.max_length = 3
    answer = client.post("/api/embed", json={"input": ["abcd"], "truncate": False})

    assert answer.status_code == 400
    assert "maximum context length" in answer.json["error"]


def test_an_error_is_a_sentence(client):
    answer = client.post("/api/embed", json={"input": 3})

    assert answer.status_code == 400
    assert answer.json == {"error": "input: expected `str | array`, got `int`; send a string or a list of strings"}
