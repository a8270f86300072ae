import numpy as np
import pytest

from tests.fakes import vector_of

ROUTES = ["/similarity", "/", "/v1", "/invocations"]


def cosine(first, second):
    first, second = np.array(vector_of(first)), np.array(vector_of(second))
    return pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second), abs=1e-6)


def sentences(*others):
    return {"source_sentence": "abc", "sentences": list(others)}


@pytest.mark.parametrize("route", ROUTES)
def test_the_answer_is_a_cosine_for_each_sentence(client, route):
    answer = client.post(route, json={"inputs": sentences("abc", "zz"), "parameters": {}})

    assert answer.json == [cosine("abc", "abc"), cosine("abc", "zz")]


def test_normalize_changes_no_cosine(client):
    answer = client.post("/similarity", json={"inputs": sentences("zz"), "parameters": {"normalize": False}})

    assert answer.json == [cosine("abc", "zz")]


def test_the_prompt_goes_before_all_sentences(client, model):
    client.post("/similarity", json={"inputs": sentences("zz"), "parameters": {"prompt_name": "query"}})

    assert sorted(model.batches[-1]) == ["query: abc", "query: zz"]


@pytest.mark.parametrize(
    ("long", "name"),
    [
        (sentences("a", "abcd"), "inputs.sentences[1]"),
        ({"source_sentence": "abcd", "sentences": ["a"]}, "inputs.source_sentence"),
    ],
)
def test_a_sentence_that_is_too_long_is_named(client, model, long, name):
    model.max_length = 3
    answer = client.post("/similarity", json={"inputs": long, "parameters": {"truncate": False}})

    assert answer.status_code == 422
    assert answer.json["error"].startswith(f"{name} is longer")


@pytest.mark.parametrize(
    ("inputs", "status", "kind"), [(sentences(), 400, "Empty"), ("abc", 422, "Validation"), ({}, 422, "Validation")]
)
def test_a_request_with_nothing_to_compare_is_refused(client, inputs, status, kind):
    answer = client.post("/similarity", json={"inputs": inputs})

    assert (answer.status_code, answer.json["error_type"]) == (status, kind)
