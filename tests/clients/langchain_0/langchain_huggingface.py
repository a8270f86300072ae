"""langchain-huggingface 0.3, the last that takes the address of a server."""

from langchain_huggingface import HuggingFaceEndpointEmbeddings


def embed(url, key, texts):
    return HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token=key).embed_documents(texts)


def embed_queries(url, key, texts):
    embeddings = HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token=key)
    return [embeddings.embed_query(text) for text in texts]
