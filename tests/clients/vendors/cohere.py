"""cohere: the routes of its first and its second version."""

import cohere


def embed(url, key, texts):
    answer = cohere.ClientV2(key, base_url=url).embed(
        texts=texts, model="embed-v4.0", input_type="search_document", embedding_types=["float"]
    )
    return answer.embeddings.float_


def embed_as_v1(url, key, texts):
    return _v1(url, key).embed(texts=texts, model="embed-v4.0", input_type="search_document").embeddings


def embed_by_type_as_v1(url, key, texts):
    answer = _v1(url, key).embed(
        texts=texts, model="embed-v4.0", input_type="search_document", embedding_types=["float"]
    )
    return answer.embeddings.float_


def rerank(url, key, query, texts):
    answer = cohere.ClientV2(key, base_url=url).rerank(model="rerank-v3.5", query=query, documents=texts)
    return _ranking(answer)


def rerank_the_best(url, key, query, texts):
    client = cohere.ClientV2(key, base_url=url)
    return _ranking(client.rerank(model="rerank-v3.5", query=query, documents=texts, top_n=3))


def rerank_as_v1(url, key, query, texts):
    answer = _v1(url, key).rerank(model="rerank-v3.5", query=query, documents=texts, return_documents=True)
    assert [each.document.text for each in answer.results] == [texts[each.index] for each in answer.results]
    return _ranking(answer)


def _v1(url, key):
    return cohere.Client(key, base_url=url)


def _ranking(answer):
    return [[each.index, each.relevance_score] for each in answer.results]
