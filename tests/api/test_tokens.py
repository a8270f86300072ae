import pytest


def token(character, start):
    return {"id": ord(character), "text": character, "special": False, "start": start, "stop": start + 1}


END = {"id": 0, "text": "[END]", "special": True, "start": None, "stop": None}


@pytest.mark.parametrize("inputs", ["ab", ["ab"]])
def test_each_text_gives_its_tokens(client, inputs):
    answer = client.post("/tokenize", json={"inputs": inputs, "prompt_name": None})

    assert answer.json == [[token("a", 0), token("b", 1), END]]


def test_special_tokens_may_be_left_out(client):
    assert client.post("/tokenize", json={"inputs": "a", "add_special_tokens": False}).json == [[token("a", 0)]]


@pytest.mark.parametrize("default", [True, False])
def test_tokens_of_the_prompt_have_no_place_in_the_text(client, model, default):
    model.default_prompt = "query" if default else None
    answer = client.post("/tokenize", json={"inputs": "a", "prompt_name": None if default else "query"})

    *prompt, last, _ = answer.json[0]
    assert "".join(each["text"] for each in prompt) == "query: "
    assert {each["start"] for each in prompt} == {None}
    assert last == token("a", 0)


def test_an_unknown_prompt_is_refused_with_those_there_are(client):
    """A client of TEI learns the names of the prompts so."""
    answer = client.post("/tokenize", json={"inputs": "hello", "prompt_name": "$NOT_EXISTING_PROMPT_NAME$"})

    assert answer.status_code == 422
    assert answer.json["error"].endswith('Available prompts: ["query"]')


@pytest.mark.parametrize(("ids", "texts"), [([97, 98, 0], ["ab"]), ([[97], [98, 99]], ["a", "bc"])])
def test_token_ids_give_their_texts(client, ids, texts):
    assert client.post("/decode", json={"ids": ids}).json == texts


def test_special_tokens_may_be_decoded_too(client):
    assert client.post("/decode", json={"ids": [97, 0], "skip_special_tokens": False}).json == ["a\0"]


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ({"inputs": [1]}, 422, "send a string or a list of strings"),
        ({"inputs": []}, 400, "inputs is an empty list"),
        ({"ids": []}, 400, "ids is an empty list"),
        ({"ids": [[97], []]}, 400, "ids[1] is an empty list"),
        ({"ids": [[97], [-1]]}, 422, "ids[1]: -1 is not a token id"),
        ({"ids": "a"}, 422, "send a list of token ids"),
    ],
)
def test_a_bad_request_is_refused(client, body, status, complaint):
    answer = client.post("/decode" if "ids" in body else "/tokenize", json=body)

    assert answer.status_code == status
    assert answer.json["error_type"] == ("Empty" if status == 400 else "Validation")
    assert complaint in answer.json["error"]


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ([1, 100_001], "inputs[1] has 100001 characters; send at most 100000 as one text"),
        ([100_000] * 10 + [1], "inputs has 1000001 characters; send at most 1000000 at a time"),
    ],
)
def test_long_texts_are_not_tokenized(app, client, sizes, complaint):
    app.config["MAX_CONTENT_LENGTH"] = 2_000_000
    answer = client.post("/tokenize", json={"inputs": ["a" * size for size in sizes]})

    assert answer.status_code == 422
    assert answer.json["error"] == complaint
