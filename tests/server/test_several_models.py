"""Two models and a reranker in one real service, asked at the same time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from tests.models.families import SERVED, build, build_reranker

pytestmark = [pytest.mark.server, pytest.mark.model]

TEXTS = ["time flies like an arrow", "fruit flies like a banana", ""]


@pytest.fixture
def service(start, tmp_path):
    small = build(tmp_path / "small", SERVED["BERT"])
    scorer = build_reranker(tmp_path / "scorer")
    return start(
        model=f"all-MiniLM-L6-v2,{small}", rerank_model=scorer, model_aliases="ada=small:own", dtype="float32"
    ).wait_until_ready()


def ask(service, path, **body):
    answer = requests.post(service.url + path, json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()


def embed(service, model):
    return np.array([each["embedding"] for each in ask(service, "/v1/embeddings", input=TEXTS, model=model)["data"]])


def rank(service, query):
    results = ask(service, "/v1/rerank", query=query, documents=TEXTS, raw_scores=True)["results"]
    return [each["relevance_score"] for each in sorted(results, key=lambda each: each["index"])]


def test_each_request_is_answered_by_its_model_whatever_else_runs(service, reference, tmp_path):
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    small = SentenceTransformer(str(tmp_path / "small"), device="cpu")
    scorer = CrossEncoder(str(tmp_path / "scorer"), device="cpu")
    scores = scorer.predict([[TEXTS[0], text] for text in TEXTS], activation_fn=torch.nn.Identity())
    with ThreadPoolExecutor(9) as threads:
        first = [threads.submit(embed, service, "all-MiniLM-L6-v2") for _ in range(20)]
        second = [threads.submit(embed, service, "ada") for _ in range(20)]
        ranked = [threads.submit(rank, service, TEXTS[0]) for _ in range(20)]

    assert all(each.result() == pytest.approx(reference.encode(TEXTS), abs=1e-4) for each in first)
    assert all(each.result() == pytest.approx(small.encode(TEXTS), rel=1e-3, abs=1e-3) for each in second)
    assert all(each.result() == pytest.approx(scores, rel=1e-3, abs=1e-3) for each in ranked)
    assert requests.get(service.url + "/readyz", timeout=60).json()["model"] == "all-MiniLM-L6-v2, small"
