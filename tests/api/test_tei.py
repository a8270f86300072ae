import numpy as np
import pytest

from service import errors
from service.api.tei_errors import STATUS
from tests.api.test_envelope import kinds
from tests.fakes import vector_of

ROUTES = ["/embed", "/", "/v1", "/invocations"]


def unit(vector):
    return pytest.approx(np.array(vector) / np.linalg.norm(vector), abs=1e-6)


def refused(answer):
    assert set(answer.json) == {"error", "error_type", "message"}
    return answer.status_code, answer.json["error_type"], answer.json["error"]


def test_every_request_error_has_a_status():
    assert set(STATUS) == kinds(errors.RequestError)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("inputs", ["abc", ["abc"], [97, 98, 99], [[97, 98, 99]]])
def test_texts_and_token_ids_give_a_list_of_vectors(client, route, inputs):
    assert client.post(route, json={"inputs": inputs}).json == [unit(vector_of("abc"))]


def test_texts_and_token_ids_may_be_mixed(client):
    answer = client.post("/embed", json={"inputs": ["ab", [97]], "normalize": False})

    assert answer.json == [vector_of("ab"), vector_of("a")]


@pytest.mark.parametrize("normalize", [True, None])
def test_vectors_have_length_1_unless_told_otherwise(client, normalize):
    assert client.post("/embed", json={"inputs": "abc", "normalize": normalize}).json == [unit(vector_of("abc"))]


def test_without_normalize_the_vector_is_raw(client, model):
    model.normalizes = True

    assert client.post("/embed", json={"inputs": "abc", "normalize": False}).json == [vector_of("abc")]


def test_dimensions_shorten_and_0_keeps_all(client):
    short, full = (client.post("/embed", json={"inputs": "abc", "dimensions": size}).json for size in (2, 0))

    assert short == [unit(vector_of("abc")[:2])]
    assert full == [unit(vector_of("abc"))]


def test_a_prompt_is_chosen_by_name(client, model):
    assert client.post("/embed", json={"inputs": "abc", "prompt_name": "query"}).status_code == 200
    assert model.batches[-1] == ["query: abc"]


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ({}, "abc"),
        ({"truncate": True}, "abc"),
        ({"truncate": None, "truncation_direction": "Left"}, "bcd"),
        ({"truncate": True, "truncation_direction": "left"}, "bcd"),
        ({"truncate": True, "truncation_direction": "Right"}, "abc"),
    ],
)
def test_a_long_text_is_cut_where_the_request_says(client, model, choice, read):
    model.max_length = 3
    answer = client.post("/embed", json={"inputs": ["x", "abcd"], **choice})

    assert model.batches[-1] == ["x", read]
    assert answer.headers["X-Truncated"] == "1"


def test_with_truncate_false_a_long_text_is_refused(client, model):
    model.max_length = 3
    answer = client.post("/embed", json={"inputs": ["abc", "abcd"], "truncate": False, "truncation_direction": "Right"})

    status, kind, message = refused(answer)
    assert (status, kind) == (422, "Validation")
    assert message.startswith("inputs[1] is longer than this model's maximum context length of 3 tokens")


def test_an_empty_text_is_embedded_and_does_not_fail_its_batch(client):
    assert client.post("/embed", json={"inputs": ["a", ""]}).json == [unit(vector_of("a")), unit(vector_of(""))]


def test_the_headers_tell_tokens_characters_and_time(client):
    headers = client.post("/embed", json={"inputs": ["abc", "d"], "prompt_name": "query"}).headers

    assert headers["x-compute-tokens"] == "18"
    assert headers["x-compute-characters"] == "4"
    times = [headers[f"x-{step}-time"] for step in ("total", "tokenization", "queue", "inference")]
    assert all(each.isdigit() for each in times)


REFUSED = [
    (b"{nope", 400, "Validation", "the body is not JSON"),
    (b"", 400, "Validation", "the body is empty"),
    (b"{}", 422, "Validation", "missing required field `inputs`"),
    (b'{"inputs": 3}', 422, "Validation", "send a string, a list of strings, or token ids"),
    (b'{"inputs": []}', 400, "Empty", "inputs is an empty list"),
    (b'{"inputs": [[]]}', 400, "Empty", "inputs[0] is an empty list of token ids"),
    (b'{"inputs": [-1]}', 422, "Validation", "inputs[0]: -1 is not a token id"),
    (b'{"inputs": "a", "dimensions": 5}', 422, "Validation", "between 1 and 4"),
    (b'{"inputs": "a", "dimensions": -1}', 422, "Validation", "between 1 and 4"),
    (b'{"inputs": "a", "truncation_direction": "up"}', 422, "Validation", "send Left or Right"),
    (b'{"inputs": "a", "prompt_name": "x"}', 422, "Validation", 'Available prompts: ["query"]'),
    (b'{"inputs": "poison"}', 424, "Backend", "the model failed on a text"),
]


@pytest.mark.parametrize(("body", "status", "kind", "complaint"), REFUSED)
def test_a_bad_request_is_refused_in_teis_shape(client, body, status, kind, complaint):
    given_status, given_kind, message = refused(client.post("/", data=body))

    assert (given_status, given_kind) == (status, kind)
    assert complaint in message


@pytest.mark.parametrize(("body", "status", "kind", "complaint"), REFUSED[3:])
def test_embed_refuses_inputs_in_teis_shape_too(client, body, status, kind, complaint):
    given_status, given_kind, message = refused(client.post("/embed", data=body))

    assert (given_status, given_kind) == (status, kind)
    assert complaint in message


def test_too_many_texts_are_refused(client):
    assert refused(client.post("/embed", json={"inputs": ["a"] * 2049}))[:2] == (422, "Validation")


def test_a_body_over_the_limit_is_refused(client):
    assert refused(client.post("/", json={"inputs": "a" * 20_001}))[:2] == (413, "Validation")


def test_a_bug_is_answered_with_a_constant_sentence(client, model, caplog):
    model.tokenize = lambda *_: {}["secret"]
    answer = client.post("/embed", json={"inputs": "a"}, buffered=True)

    assert refused(answer) == (500, "Backend", "the server failed on this request; its log has the reason")
    assert "KeyError: 'secret'" in caplog.text


def test_embed_tells_the_two_shapes_apart_by_their_member(client):
    assert client.post("/embed", json={"input": "abc", "inputs": None}).json["object"] == "list"
    assert client.post("/embed", json={"input": "z", "inputs": "abc"}).json == [unit(vector_of("abc"))]


@pytest.mark.parametrize("route", ["/embed_all", "/embed_sparse", "/predict"])
def test_what_the_model_cannot_give_is_refused_as_by_tei(client, route):
    status, kind, message = refused(client.post(route, json={"inputs": "abc"}))

    assert (status, kind) == (424, "Backend")
    assert "use POST /embed" in message


@pytest.mark.parametrize("route", ["/", "/tokenize", "/similarity", "/vertex"])
def test_a_crowd_is_refused_as_by_tei(app, client, route):
    for _ in range(56):
        app.extensions["engines"]().admission.hold(0)
    answer = client.post(route, json={"inputs": "abc"})

    assert refused(answer)[:2] == (429, "Overloaded")
    assert answer.headers["Retry-After"]
