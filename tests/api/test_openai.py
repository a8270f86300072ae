import base64

import numpy as np
import pytest

from tests.fakes import vector_of


@pytest.mark.parametrize("route", ["/v1/embeddings", "/embeddings", "/v1/embeddings/", "/v1/embeddings?api-version=1"])
def test_a_string_gives_one_embedding(client, route):
    answer = client.post(route, json={"input": "abc", "model": "m3e"})

    assert answer.json == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": vector_of("abc"), "index": 0}],
        "model": "m3e",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def test_a_list_gives_embeddings_in_its_order(client):
    answer = client.post("/v1/embeddings", json={"input": ["long " * 5, "a", ""]})

    assert [item["embedding"] for item in answer.json["data"]] == [vector_of(text) for text in ("long " * 5, "a", "")]
    assert [item["index"] for item in answer.json["data"]] == [0, 1, 2]


def test_base64_is_little_endian_float32(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "encoding_format": "base64"})

    decoded = np.frombuffer(base64.b64decode(answer.json["data"][0]["embedding"]), "<f4")
    assert decoded.tolist() == vector_of("abc")


def test_dimensions_shortens_the_vectors(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "dimensions": 2})

    assert len(answer.json["data"][0]["embedding"]) == 2


def test_unknown_members_are_ignored_and_null_is_absent(client):
    extras = {"user": "u", "surprise": [1], "model": None, "encoding_format": None, "dimensions": None}
    answer = client.post("/v1/embeddings", json={"input": "abc", **extras})

    assert answer.json["data"][0]["embedding"] == vector_of("abc")
    assert answer.json["model"] == "fake"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_the_content_type(client, content_type):
    answer = client.post("/v1/embeddings", data=b'{"input": "abc"}', content_type=content_type)

    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "identity", None])
def test_a_content_encoding_that_compresses_nothing_is_ignored(client, encoding):
    answer = client.post("/v1/embeddings", json={"input": "abc"}, headers={"Content-Encoding": encoding or ""})

    assert answer.status_code == 200


def test_a_byte_order_mark_is_skipped(client):
    answer = client.post("/v1/embeddings", data='{"input": "abc"}'.encode("utf-8-sig"))

    assert answer.json["data"][0]["embedding"] == vector_of("abc")


def test_of_a_member_that_is_given_twice_the_last_counts(client):
    answer = client.post("/v1/embeddings", data=b'{"input": "abc", "input": "z"}')

    assert answer.json["data"][0]["embedding"] == vector_of("z")


def test_as_many_empty_texts_as_are_allowed_are_embedded(client):
    answer = client.post("/v1/embeddings", json={"input": [""] * 2048})

    assert [item["embedding"] for item in answer.json["data"]] == [vector_of("")] * 2048


JINA = {
    "model": "jina-embeddings-v3",
    "late_chunking": False,
    "normalized": False,
    "truncate": True,
    "dimensions": None,
}
VOYAGE = {"model": "voyage-3", "output_dimension": None, "output_dtype": None, "input_type": None, "truncation": True}
INFINITY = {"model": "default/not-specified", "dimensions": 0, "modality": "text", "user": None}


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"text": "abc"}], "task": "text-matching", "embedding_type": "float"} | JINA,
        {"input": ["abc"], "task": None, "embedding_type": None} | JINA,
        {"input": ["abc"], "encoding_format": None} | VOYAGE,
        {"input": ["abc"]} | INFINITY,
    ],
)
def test_the_bodies_of_jina_voyage_and_infinity_are_read(client, body):
    answer = client.post("/v1/embeddings", json=body)

    assert answer.json["data"] == [{"object": "embedding", "embedding": vector_of("abc"), "index": 0}]
    assert answer.json["model"] == body["model"]


@pytest.mark.parametrize("kind", ["base64", "float", "binary", "ubinary"])
def test_jina_s_embedding_types_are_answered(client, kind):
    (item,) = client.post("/v1/embeddings", json={"input": ["abc"], "embedding_type": kind}).json["data"]

    floats = np.array(vector_of("abc"), "<f4")
    packed = int(np.packbits(floats > 0)[0])
    expected = {
        "base64": base64.b64encode(floats.tobytes()).decode(),
        "float": floats.tolist(),
        "binary": [packed - 128],
        "ubinary": [packed],
    }
    assert item["embedding"] == expected[kind]


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_voyage_s_types_come_as_bytes_in_base64(client, kind):
    body = {"input": ["abc"], "output_dtype": kind, "encoding_format": "base64"}
    (item,) = client.post("/v1/embeddings", json=body).json["data"]
    (plain,) = client.post("/v1/embeddings", json={"input": ["abc"], "output_dtype": kind}).json["data"]

    dtype = "u1" if kind.startswith("u") else "i1"
    assert np.frombuffer(base64.b64decode(item["embedding"]), dtype).tolist() == plain["embedding"]


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"late_chunking": True}, "late_chunking: each text is embedded on its own here"),
        ({"modality": "image"}, "this service embeds texts only"),
        ({"input": [{"image": "https://example.org/a.png"}]}, "input[0]: object missing required field `text`"),
        ({"output_dtype": "float16"}, "output_dtype: invalid enum value 'float16'"),
    ],
)
def test_what_cannot_be_done_is_refused(client, members, complaint):
    answer = client.post("/v1/embeddings", json={"input": ["abc"]} | members)

    assert answer.status_code == 400
    assert complaint in answer.json["detail"]


@pytest.mark.parametrize("task", ["retrieval.query", "query", "search_query"])
def test_the_purpose_chooses_the_prompt(client, task):
    (item,) = client.post("/v1/embeddings", json={"input": ["abc"], "task": task}).json["data"]

    assert item["embedding"] == vector_of("query: abc")


def test_infinity_s_client_can_read_the_list_of_models(client):
    (listed,) = client.get("/models").json["data"]

    assert listed["owned_by"] == "infinity"
    assert listed["stats"] == {"queue_fraction": 0, "queue_absolute": 0, "results_pending": 0, "batch_size": 100}


def test_the_model_is_listed_and_described(client):
    (listed,) = client.get("/v1/models").json["data"]

    assert listed["id"] == "fake"
    assert client.get("/v1/models/fake").json == listed


def test_an_unknown_model_is_not_found(client):
    answer = client.get("/v1/models/moka-ai/m3e-base")

    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("route", ["/v1/engines/m3e/embeddings", "/openai/deployments/m3e/embeddings?api-version=1"])
def test_the_model_may_be_named_in_the_path(client, route):
    assert client.post(route, json={"input": "abc"}).json["model"] == "m3e"


@pytest.mark.parametrize("given", [[97, 98], [[97, 98], "ab", {"text": "ab"}]])
def test_token_ids_and_texts_in_objects_are_inputs_too(app, client, given):
    app.config["TOKEN_IDS"] = "own"
    answer = client.post("/v1/embeddings", json={"input": given})

    assert {tuple(item["embedding"]) for item in answer.json["data"]} == {tuple(vector_of("ab"))}


@pytest.mark.parametrize(("given", "index"), [([[97], [-1]], 1), (["a", []], 1), (["a", 3], 1), ([[]], 0)])
def test_an_error_in_a_list_names_the_item(app, client, given, index):
    app.config["TOKEN_IDS"] = "own"
    answer = client.post("/v1/embeddings", json={"input": given})

    assert answer.status_code == 400
    assert answer.json["message"].startswith(f"input[{index}]")


@pytest.mark.parametrize("asked", [{"prompt_name": "query"}, {"input_type": "query"}, {"task": "retrieval.query"}])
def test_a_prompt_is_put_before_each_text(client, asked):
    answer = client.post("/v1/embeddings", json={"input": "abc", **asked})

    assert answer.json["data"][0]["embedding"] == vector_of("query: abc")


def test_a_purpose_without_a_prompt_changes_nothing(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "input_type": "document"})

    assert answer.json["data"][0]["embedding"] == vector_of("abc")


def test_an_unknown_prompt_is_refused_with_those_there_are(client):
    answer = client.post("/v1/embeddings", json={"input": "abc", "prompt_name": "poem"})

    assert answer.status_code == 400
    assert 'Available prompts: ["query"]' in answer.json["message"]


def test_a_cut_is_told_in_a_header_and_in_the_answer(client, model):
    model.max_length = 3
    answer = client.post("/v1/embeddings", json={"input": ["abcd", "abc", "abcde"]})

    assert answer.json["truncated"] == [0, 2]
    assert answer.headers["X-Truncated"] == "0,2"
    assert answer.json["usage"]["total_tokens"] == 9
    assert 'truncated_texts_total{model="fake"} 2.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("asked", "kept"), [({}, "abc"), ({"truncate": "left"}, "bcd"), ({"truncation_direction": "left"}, "bcd")]
)
def test_a_request_says_where_it_is_cut(client, model, asked, kept):
    model.max_length = 3
    answer = client.post("/v1/embeddings", json={"input": "abcd", **asked})

    assert answer.json["data"][0]["embedding"] == vector_of(kept)


@pytest.mark.parametrize("asked", [{"truncate": False}, {"truncation": False}, {"truncate": "NONE"}])
def test_a_request_may_forbid_to_cut(client, model, asked):
    model.max_length = 3
    answer = client.post("/v1/embeddings", json={"input": ["abc", "abcd"], **asked})

    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "context_length_exceeded"
    assert "input[1] is longer than this model's maximum context length" in answer.json["message"]


def test_the_setting_forbids_to_cut_unless_the_request_says_otherwise(app, client, model):
    app.config["TRUNCATE"], model.max_length = "off", 3

    assert client.post("/v1/embeddings", json={"input": "abcd"}).status_code == 400
    assert client.post("/v1/embeddings", json={"input": "abcd", "truncate": True}).status_code == 200


def test_every_answer_names_the_model_that_made_it(client):
    answer = client.post("/v1/embeddings", json={"input": "abc"})

    assert answer.headers["X-Model-Fingerprint"] == "fa" * 32
    assert client.get("/v1/models").json["data"][0]["fingerprint"] == "fa" * 32


def test_a_request_may_be_pinned_to_a_model(client):
    right, wrong = (
        client.post("/v1/embeddings", json={"input": "abc"}, headers={"X-Model-Fingerprint": pinned})
        for pinned in ("FA" * 32, "fb" * 32)
    )

    assert (right.status_code, wrong.status_code) == (200, 409)
    assert "fa" * 32 in wrong.json["message"]
    assert "fb" * 32 in wrong.json["message"]


def test_token_ids_without_end_are_refused(app, client):
    app.config["MAX_CONTENT_LENGTH"] = 2**21
    answer = client.post("/v1/embeddings", json={"input": [[1] * 200_000, [2] * 100_001]})

    assert answer.status_code == 400
    assert "input has 300001 token ids; send at most 300000" in answer.json["message"]
