"""voyageai."""

import voyageai


def embed(url, key, texts):
    answer = _client(url, key).embed(texts, model="voyage-3.5", input_type="document")
    assert answer.total_tokens > 0
    return answer.embeddings


def rerank(url, key, query, texts):
    answer = _client(url, key).rerank(query, texts, model="rerank-2.5")
    return [[each.index, each.relevance_score] for each in answer.results]


def rerank_the_best(url, key, query, texts):
    answer = _client(url, key).rerank(query, texts, model="rerank-2.5", top_k=3)
    return [[each.index, each.relevance_score] for each in answer.results]


def _client(url, key):
    return voyageai.Client(key, base_url=f"{url}/v1")
