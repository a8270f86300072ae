import base64

import numpy as np
import pytest

from tests.fakes import vector_of

TEXTS = {"texts": ["abc", "z"], "model": "embed-v4.0", "input_type": "classification"}


def embed(client, route="/v2/embed", **members):
    return client.post(route, json=TEXTS | members)


def test_version_1_gives_a_plain_list(client):
    answer = embed(client, "/v1/embed", truncate=None).json

    assert answer.pop("id")
    assert answer == {
        "response_type": "embeddings_floats",
        "embeddings": [vector_of("abc"), vector_of("z")],
        "texts": ["abc", "z"],
        "meta": {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 4}},
    }


def test_version_1_gives_a_list_for_each_type_that_is_asked_for(client):
    answer = embed(client, "/v1/embed", embedding_types=["float"]).json

    assert answer["response_type"] == "embeddings_by_type"
    assert answer["embeddings"] == {"float": [vector_of("abc"), vector_of("z")]}


def test_version_2_gives_floats_by_type_unless_others_are_asked_for(client):
    answer = embed(client).json

    assert answer["response_type"] == "embeddings_by_type"
    assert answer["embeddings"] == {"float": [vector_of("abc"), vector_of("z")]}
    assert answer["meta"]["api_version"] == {"version": "2"}


def test_all_types_come_in_one_answer(client):
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    embeddings = embed(client, embedding_types=kinds).json["embeddings"]

    assert list(embeddings) == kinds
    assert np.frombuffer(base64.b64decode(embeddings["base64"][0]), "<f4").tolist() == vector_of("abc")
    assert [row[0] + 128 for row in embeddings["binary"]] == [row[0] for row in embeddings["ubinary"]] == [0xF0] * 2
    assert np.array(embeddings["uint8"]).shape == (2, 4)


def test_output_dimension_shortens_the_vectors(client):
    assert len(embed(client, output_dimension=2).json["embeddings"]["float"][0]) == 2


@pytest.mark.parametrize(("input_type", "prompt"), [("search_query", "query: "), ("search_document", "")])
def test_the_input_type_chooses_the_prompt(client, input_type, prompt):
    embeddings = embed(client, input_type=input_type).json["embeddings"]

    assert embeddings["float"] == [vector_of(prompt + "abc"), vector_of(prompt + "z")]


def test_an_input_in_parts_is_one_text(client):
    parts = [{"type": "text", "text": "ab"}, {"type": "text", "text": "c"}]
    answer = client.post("/v2/embed", json={"inputs": [{"content": parts}]})

    assert answer.json["embeddings"]["float"] == [vector_of("ab\nc")]
    assert answer.json["texts"] == ["ab\nc"]


@pytest.mark.parametrize(("truncate", "kept"), [("START", "cd"), ("END", "ab"), (None, "ab")])
def test_truncate_says_which_end_is_cut(client, model, truncate, kept):
    model.max_length = 2
    answer = client.post("/v2/embed", json={"texts": ["abcd"], "truncate": truncate})

    assert answer.json["embeddings"]["float"] == [vector_of(kept)]
    assert answer.headers["X-Truncated"] == "0"


def test_truncate_none_refuses_a_long_text_by_its_place(client, model):
    model.max_length = 2
    answer = embed(client, texts=["a", "abc"], truncate="NONE")

    assert answer.status_code == 400
    assert answer.json["message"].startswith("texts[1] is longer than this model's maximum context length of 2 tokens")
    assert answer.json["error"]["param"] == "texts"


@pytest.mark.parametrize("inputs", ["abc", ["abc"]])
def test_version_1_with_inputs_that_are_texts_is_tei_s(client, inputs):
    assert client.post("/v1/embed", json={"inputs": inputs, "normalize": False}).json == [vector_of("abc")]


def test_an_error_in_such_inputs_is_tei_s(client):
    answer = client.post("/v1/embed", json={"inputs": ["abc"], "dimensions": 5})

    assert answer.status_code == 422
    assert answer.json["error_type"] == "Validation"


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

BAD_BODIES = [
    ({}, "texts is missing; send a list of strings"),
    ({"texts": []}, "texts is an empty list"),
    ({"texts": "a"}, "texts: expected `array | null`, got `str`; send a list of strings"),
    ({"texts": ["a"], "truncate": "MIDDLE"}, "send NONE, START or END"),
    ({"texts": ["a"], "embedding_types": ["hex"]}, "send a list of float, int8"),
    ({"texts": ["a"], "output_dimension": 5}, "between 1 and 4"),
    ({"images": ["data:image/png;base64,AA=="]}, "images: this service embeds texts only"),
    ({"inputs": [{"content": [IMAGE]}]}, "inputs[0] has no text, or an image"),
    ({"inputs": [{"content": [{"type": "text", "text": "a"}, IMAGE]}]}, "inputs[0] has no text, or an image"),
    ({"inputs": ["a"]}, 'send a list of {"content": [{"type": "text", "text": "..."}]}'),
]


@pytest.mark.parametrize(("body", "complaint"), BAD_BODIES)
def test_a_bad_request_says_what_to_send(client, body, complaint):
    answer = client.post("/v2/embed", json=body)

    assert answer.status_code == 400
    assert complaint in answer.json["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"
