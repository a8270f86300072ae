"""Haystack: OpenAI and Text Embeddings Inference."""

from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import (
    HuggingFaceAPIDocumentEmbedder,
    HuggingFaceAPITextEmbedder,
)
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker


def embed_documents_like_openai(url, key, texts):
    return _embed(OpenAIDocumentEmbedder(api_base_url=f"{url}/v1", api_key=Secret.from_token(key)), texts)


def embed_texts_like_openai(url, key, texts):
    embedder = OpenAITextEmbedder(api_base_url=f"{url}/v1", api_key=Secret.from_token(key))
    return [embedder.run(text)["embedding"] for text in texts]


def embed_documents_like_tei(url, key, texts):
    return _embed(_tei(HuggingFaceAPIDocumentEmbedder, url, key, normalize=True), texts)


def embed_raw_like_tei(url, key, texts):
    """Its default does not normalize."""
    return _embed(_tei(HuggingFaceAPIDocumentEmbedder, url, key), texts)


def embed_texts_like_tei(url, key, texts):
    embedder = _tei(HuggingFaceAPITextEmbedder, url, key, normalize=True)
    return [embedder.run(text)["embedding"] for text in texts]


def rerank_like_tei(url, key, query, texts):
    documents = [Document(id=str(index), content=text) for index, text in enumerate(texts)]
    found = HuggingFaceTEIRanker(url=url, top_k=len(texts), token=Secret.from_token(key)).run(query, documents)[
        "documents"
    ]
    return [[int(each.id), each.score] for each in found]


def _tei(embedder, url, key, **options):
    return embedder(
        api_type="text_embeddings_inference", api_params={"url": url}, token=Secret.from_token(key), **options
    )


def _embed(embedder, texts):
    done = embedder.run([Document(content=text) for text in texts])["documents"]
    return [each.embedding for each in done]
