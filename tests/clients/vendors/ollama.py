"""ollama: its present and its deprecated route."""

from ollama import Client


def embed(url, key, texts):
    return _client(url, key).embed("all-minilm", texts).embeddings


def embed_raw_one_as_before(url, key, texts):
    """Ollama's older route does not normalize."""
    return [_client(url, key).embeddings("all-minilm", text).embedding for text in texts]


def _client(url, key):
    return Client(url, headers={"Authorization": f"Bearer {key}"})
