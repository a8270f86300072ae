"""Chroma's embedding functions."""

import os

from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer, OpenAIEmbeddingFunction


def embed_like_openai(url, key, texts):
    model = "text-embedding-3-small"
    return OpenAIEmbeddingFunction(api_key=key, api_base=f"{url}/v1", model_name=model)(texts)


def embed_like_tei(url, key, texts):
    os.environ["SENT_KEY"] = key
    return HuggingFaceEmbeddingServer(url=f"{url}/embed", api_key_env_var="SENT_KEY")(texts)
