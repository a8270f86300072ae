import json

import pytest

from service import errors
from service.api.weaviate import STATUS
from tests.api.test_envelope import kinds
from tests.fakes import vector_of


def test_every_request_error_has_a_status():
    assert set(STATUS) == kinds(errors.RequestError)


def test_one_text_gives_one_vector(client):
    body = {"text": "abc", "dims": 0, "vector": None, "error": "", "config": {"pooling_strategy": "masked_mean"}}
    answer = client.post("/vectors", data=json.dumps(body))  # Weaviate sends no Content-Type

    assert answer.json == {"text": "abc", "vector": vector_of("abc"), "dim": 4, "dims": 4}


def test_several_texts_give_vectors_in_their_order(client):
    assert client.post("/vectors", json={"texts": ["abc", "d"]}).json["vectors"] == [vector_of("abc"), vector_of("d")]


def test_a_query_is_read_with_its_prompt(client):
    answer = client.post("/vectors", json={"text": "abc", "config": {"task_type": "query"}})

    assert answer.json["vector"] == vector_of("query: abc")


@pytest.mark.parametrize("body", [{}, {"texts": []}, {"text": 3}])
def test_an_error_is_a_sentence(client, body):
    answer = client.post("/vectors", json=body)

    assert answer.status_code == 400
    assert set(answer.json) == {"error"}


def test_weaviate_finds_the_service_ready(client):
    assert client.get("/.well-known/ready").status_code == client.get("/.well-known/live").status_code == 204
    assert client.get("/meta").json["model"] == "fake"
