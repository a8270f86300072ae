"""huggingface_hub's client of Text Embeddings Inference."""

from huggingface_hub import InferenceClient


def embed(url, key, texts):
    return _client(url, key).feature_extraction(texts)


def embed_at_its_route(url, key, texts):
    return _client(f"{url}/embed", key).feature_extraction(texts)


def embed_behind_v1(url, key, texts):
    return _client(f"{url}/v1", key).feature_extraction(texts)


def embed_one(url, key, texts):
    return [_client(url, key).feature_extraction(text)[0] for text in texts]


def embed_raw(url, key, texts):
    return _client(url, key).feature_extraction(texts, normalize=False, truncate=True)


def compare(url, key, query, texts):
    return _client(url, key).sentence_similarity(query, other_sentences=texts)


def _client(url, key):
    return InferenceClient(base_url=url, api_key=key)
