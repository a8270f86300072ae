import pytest

from service.api.exchange import current

ROUTES = ["/rerank", "/v1/rerank", "/v2/rerank"]

#: To the fake model the second is the query itself, and the first the least like it.
DOCUMENTS = ["a long text", "ab", "abc"]


@pytest.fixture(autouse=True)
def no_prompts(model):
    model.prompts = {}


def rerank(client, route="/v2/rerank", **members):
    return client.post(route, json={"query": "ab", "documents": DOCUMENTS, "model": "rerank-v3.5"} | members)


def indices(answer):
    return [result["index"] for result in answer.json["results"]]


@pytest.mark.parametrize("route", ROUTES)
def test_documents_come_best_first_with_all_that_clients_read(client, route):
    answer = rerank(client, route).json
    scores = [result["relevance_score"] for result in answer["results"]]

    assert answer.pop("id")
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1)
    assert answer == {
        "object": "rerank",
        "model": "rerank-v3.5",
        "results": [{"index": index, "relevance_score": score} for index, score in zip((1, 2, 0), scores, strict=True)],
        "data": answer["results"],
        "usage": {"prompt_tokens": 18, "total_tokens": 18},
        "meta": {
            "api_version": {"version": "1" if route == "/v1/rerank" else "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": 18, "output_tokens": 0},
        },
    }


@pytest.mark.parametrize("most", [{"top_n": 2}, {"top_k": 2}, {"top_n": None, "top_k": 2}])
def test_top_n_or_top_k_keeps_the_best(client, most):
    assert indices(rerank(client, **most)) == [1, 2]


@pytest.mark.parametrize("most", [{}, {"top_n": None}, {"top_n": 3}, {"top_n": 4}, {"top_k": 10**6}])
def test_without_a_smaller_top_n_all_documents_come(client, most):
    assert indices(rerank(client, **most)) == [1, 2, 0]


@pytest.mark.parametrize("route", ROUTES[1:])
@pytest.mark.parametrize("document", ["abc", {"text": "abc"}, {"text": "abc", "id": 7}])
def test_documents_are_returned_when_asked_for(client, route, document):
    answer = rerank(client, route, documents=[document], return_documents=True)

    shown = {"text": document} if isinstance(document, str) else document
    assert answer.json["results"][0]["document"] == shown


@pytest.mark.parametrize("members", [{"return_documents": False}, {"return_documents": None}, {}])
def test_documents_are_not_returned_otherwise(client, members):
    assert "document" not in rerank(client, **members).json["results"][0]


@pytest.mark.parametrize("route", ["/rerank", "/rerank/", "/rerank?a=b"])
def test_the_bare_route_returns_no_documents(client, route):
    """litellm wants a string there of one server, and an object of another."""
    assert "document" not in rerank(client, route, return_documents=True).json["results"][0]


def test_of_equal_documents_the_first_comes_first(client):
    assert indices(rerank(client, documents=["abc", "ab", "abc", "ab"])) == [1, 3, 0, 2]


def test_an_object_is_ranked_by_its_text_or_the_named_fields(client, model):
    document = {"title": "ab", "text": "cd", "year": 1999}
    rerank(client, documents=[document])
    rerank(client, documents=[document], rank_fields=["title", "text"])

    read = [text for batch in model.batches for text in batch]
    assert "cd" in read
    assert "ab\ncd" in read


def test_a_query_and_documents_are_read_with_their_prompts(client, model):
    model.prompts = {"query": "q: ", "document": "d: "}
    answer = rerank(client, documents=["ab"])

    read = sorted(text for batch in model.batches for text in batch if ":" in text)
    assert read == ["d: ab", "q: ab"]
    assert answer.json["usage"]["total_tokens"] == 10


def test_the_deadline_counts_the_query_too(client, model):
    model.prompts = {"query": "q: "}
    tokenize = model.tokenize

    def tokenize_slowly(*arguments):
        current().started -= 1000  # seconds
        return tokenize(*arguments)

    model.tokenize = tokenize_slowly

    assert rerank(client, documents=["ab"]).status_code == 504


def test_raw_scores_are_cosines(client):
    cosine = rerank(client, raw_scores=True).json["results"][-1]["relevance_score"]
    score = rerank(client).json["results"][-1]["relevance_score"]

    assert score == pytest.approx((1 + cosine) / 2)


@pytest.mark.parametrize("prompts", [{}, {"query": "q"}])
def test_the_header_lists_the_documents_that_were_cut(client, model, prompts):
    """Not the query, which has no index."""
    model.prompts, model.max_length = prompts, 2
    answer = rerank(client, query="abc", documents=["a", "abc", "ab"])

    assert answer.headers["X-Truncated"] == "1"


@pytest.mark.parametrize("prompts", [{}, {"query": ""}])
@pytest.mark.parametrize(("query", "place"), [("a", "documents[1]"), ("abc", "query")])
def test_a_long_text_that_may_not_be_cut_is_named(client, model, prompts, query, place):
    model.prompts, model.max_length = prompts, 2
    answer = rerank(client, query=query, documents=["a", "abc"], truncation=False)

    assert answer.status_code == 400
    assert answer.json["detail"].startswith(f"{place} is longer than this model's maximum context length")
    assert answer.json["error"]["param"] == place.partition("[")[0]


BAD_BODIES = [
    ({"query": None}, "query: expected `str`, got `null`; send a string"),
    ({"documents": None}, "documents: expected `array`, got `null`; send a list of strings"),
    ({"documents": []}, "documents is an empty list"),
    ({"documents": ["a"] * 2049}, "documents has 2049 texts; send at most 2048"),
    ({"documents": "a"}, 'send a list of strings, or of {"text": "..."}'),
    ({"documents": [3]}, 'send a list of strings, or of {"text": "..."}'),
    ({"documents": ["a", {"image": "b"}]}, "documents[1] has no text in text"),
    ({"documents": [{"text": 3}]}, "documents[0] has no text in text"),
    ({"top_n": 0}, "top_n: expected `int` >= 1; send a positive number"),
    ({"top_k": -1}, "top_k: expected `int` >= 1; send a positive number"),
]


@pytest.mark.parametrize(("members", "complaint"), BAD_BODIES)
def test_a_bad_request_says_what_to_send(client, members, complaint):
    answer = rerank(client, **members)

    assert answer.status_code == 400
    assert complaint in answer.json["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_a_body_without_documents_says_so(client):
    answer = client.post("/v1/rerank", json={"query": "a"})

    assert answer.status_code == 400
    assert "missing required field `documents`" in answer.json["detail"]


@pytest.mark.parametrize("route", [*ROUTES, "/", "/v1", "/invocations"])
def test_texts_are_answered_as_tei_does(client, route):
    answer = client.post(route, json={"query": "ab", "texts": DOCUMENTS, "truncate": True, "return_text": True})

    assert [(each["index"], each["text"]) for each in answer.json] == [(1, "ab"), (2, "abc"), (0, "a long text")]
    assert answer.json[0]["score"] == pytest.approx(1)


@pytest.mark.parametrize("members", [{}, {"return_text": False}, {"return_text": None, "raw_scores": True}])
def test_texts_are_not_returned_unless_asked_for(client, members):
    answer = client.post("/rerank", json={"query": "ab", "texts": ["ab"], **members})

    assert set(answer.json[0]) == {"index", "score"}


@pytest.mark.parametrize(("direction", "best"), [("Right", 0), ("Left", 1), (None, 0)])
def test_texts_are_cut_where_tei_cuts_them(client, model, direction, best):
    model.max_length = 2
    body = {"query": "ab", "texts": ["abyz", "yzab"], "truncation_direction": direction}
    answer = client.post("/rerank", json=body)

    assert answer.json[0]["index"] == best
    assert answer.headers["X-Truncated"] == "0,1"


BAD_TEXTS = [
    ({"texts": []}, (400, "Empty"), "texts is an empty list"),
    ({"texts": [3]}, (422, "Validation"), "texts[0]: expected `str`, got `int`; send a list of strings"),
    ({"query": 3}, (422, "Validation"), "query: expected `str`, got `int`; send a string"),
    ({"texts": ["a", "abc"], "truncate": False}, (422, "Validation"), "texts[1] is longer"),
    ({"query": "abc", "truncate": False}, (422, "Validation"), "query is longer"),
    ({"texts": ["poison"]}, (424, "Backend"), "the model failed"),
]


@pytest.mark.parametrize(("members", "kind", "complaint"), BAD_TEXTS)
def test_errors_in_texts_are_those_of_tei(client, model, members, kind, complaint):
    model.max_length = 6 if "poison" in str(members) else 2
    answer = client.post("/rerank", json={"query": "a", "texts": ["a"]} | members)

    assert (answer.status_code, answer.json["error_type"]) == kind
    assert complaint in answer.json["error"]
