"""openai 0.28, which many old programs pin."""

import openai


def embed(url, key, texts):
    return _embed(url, key, texts, model="text-embedding-ada-002")


def embed_with_an_engine(url, key, texts):
    """The name of the model goes into the path."""
    return _embed(url, key, texts, engine="text-embedding-ada-002")


def _embed(url, key, texts, **members):
    answer = openai.Embedding.create(api_base=f"{url}/v1", api_key=key, input=texts, **members)
    return [each["embedding"] for each in answer["data"]]
