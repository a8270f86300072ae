"""langchain-openai, also before its version 1."""

from langchain_openai import OpenAIEmbeddings


def embed_token_ids(url, key, texts):
    """Its default: ids of cl100k_base."""
    return _embeddings(url, key).embed_documents(texts)


def embed_queries_as_token_ids(url, key, texts):
    return [_embeddings(url, key).embed_query(text) for text in texts]


def embed_text(url, key, texts):
    return _embeddings(url, key, check_embedding_ctx_length=False).embed_documents(texts)


def embed_an_empty_text(url, key, texts):
    """It goes beside the token ids, as a request of its own."""
    return _embeddings(url, key).embed_documents([*texts, ""])[:-1]


def _embeddings(url, key, **options):
    return OpenAIEmbeddings(model="text-embedding-3-small", base_url=f"{url}/v1", api_key=key, **options)
