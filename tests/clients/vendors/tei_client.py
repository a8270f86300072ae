"""tei-client, of Text Embeddings Inference: it reads /info before it asks for anything."""

from tei_client import HttpClient


def embed(url, key, texts):
    return _client(url, key).embed(texts, truncate=True)


def embed_their_tokens(url, key, texts):
    """All but those of the last, which has more than the model reads."""
    client = _client(url, key)
    token_ids = [each.get_ids() for each in client.tokenize(texts[:-1])]
    return client.embed(token_ids) + client.embed(texts[-1], truncate=True)


def embed_raw(url, key, texts):
    return _client(url, key).embed(texts, normalize=False, truncate=True)


def find_model(url, key):
    return _client(url, key).info().server_model_id


def _client(url, key):
    return HttpClient(url, headers={"Authorization": f"Bearer {key}"})
