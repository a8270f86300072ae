"""Documents are ranked by the model of EMBED_RERANK_MODEL, if there is one."""

import numpy as np
import pytest

from service.app import create_app
from service.errors import BadSetting
from service.settings import Settings
from tests.fakes import FakeModel, FakeReranker

#: They share one, three and two characters with the query.
DOCUMENTS = ["a", "abc", "bcd"]


@pytest.fixture
def scorer():
    return FakeReranker()


@pytest.fixture
def client(model, scorer):
    app = create_app(Settings(), model, rerank_model=scorer)
    yield app.test_client()
    app.extensions["engines"]().close()


def rerank(client, route="/v2/rerank", **members):
    return client.post(route, json={"query": "abc", "documents": DOCUMENTS} | members)


def scores(answer):
    return {result["index"]: result["relevance_score"] for result in answer.json["results"]}


def sigmoid(*raw):
    return pytest.approx({index: 1 / (1 + np.exp(-each)) for index, each in enumerate(raw)})


@pytest.mark.parametrize("route", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_the_reranker_reads_each_document_with_the_query(client, scorer, route):
    answer = rerank(client, route)

    assert scores(answer) == sigmoid(-1, 1, 0)
    assert [result["index"] for result in answer.json["results"]] == [1, 2, 0]
    assert answer.json["model"] == "fake-reranker"
    assert sorted(text for batch in scorer.batches[2:] for text in batch) == ["abc|a", "abc|abc", "abc|bcd"]


def test_any_name_means_the_reranker_but_that_of_a_model_that_embeds(client):
    assert scores(rerank(client, model="rerank-v3.5")) == sigmoid(-1, 1, 0)
    assert rerank(client, model="fake").headers["X-Model-Fingerprint"] == FakeModel.fingerprint


def test_scores_come_raw_or_as_the_model_means_them(client, scorer):
    assert scores(rerank(client, raw_scores=True)) == {0: -1, 1: 1, 2: 0}
    scorer.activation = "identity"
    assert scores(rerank(client)) == {0: -1, 1: 1, 2: 0}


def test_teis_clients_are_ranked_for_too(client):
    answer = client.post("/rerank", json={"query": "abc", "texts": DOCUMENTS, "raw_scores": True})

    assert answer.json == [{"index": 1, "score": 1}, {"index": 2, "score": 0}, {"index": 0, "score": -1}]


def test_an_answer_tells_which_model_ranked_and_what_it_read(client):
    answer = rerank(client)

    assert answer.headers["X-Model-Fingerprint"] == FakeReranker.fingerprint
    assert answer.json["usage"]["total_tokens"] == len("abc|a") + len("abc|abc") + len("abc|bcd")
    assert 'embeddings_tokens_total{model="fake-reranker"} 19.0' in client.get("/metrics").text
    assert client.get("/info").json["reranker"] == "fake-reranker"


def test_a_document_that_was_cut_or_fails_is_named(client, scorer):
    scorer.max_length = 6
    answer = rerank(client)
    refused = rerank(client, truncate="NONE")

    assert answer.headers["X-Truncated"] == "1,2"
    assert refused.status_code == 400
    assert refused.json["message"].startswith("documents[1] is longer than this model's maximum context length")


def test_a_model_that_embeds_is_not_the_reranker(client):
    assert [each["id"] for each in client.get("/v1/models").json["data"]] == ["fake"]
    assert client.get("/readyz").status_code == 200


def test_the_reranker_has_a_name_of_its_own():
    with pytest.raises(BadSetting, match="EMBED_RERANK_MODEL: ada is the name of another model or an alias"):
        create_app(Settings(model_aliases="ada=fake"), FakeModel(), rerank_model=named("ada"))


def named(name):
    scorer = FakeReranker()
    scorer.name = name
    return scorer
