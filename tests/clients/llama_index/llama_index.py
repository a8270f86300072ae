"""LlamaIndex: OpenAI-like and Text Embeddings Inference."""

from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference


def embed_like_openai(url, key, texts):
    model = OpenAILikeEmbedding(model_name="m3e-base", api_base=f"{url}/v1", api_key=key)
    return model.get_text_embedding_batch(texts)


def embed_queries_like_openai(url, key, texts):
    model = OpenAILikeEmbedding(model_name="m3e-base", api_base=f"{url}/v1", api_key=key)
    return [model.get_query_embedding(text) for text in texts]


def embed_like_tei(url, key, texts):
    return TextEmbeddingsInference(model_name="m3e-base", base_url=url, auth_token=key).get_text_embedding_batch(texts)


def rerank_like_tei(url, key, query, texts):
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(index))) for index, text in enumerate(texts)]
    ranker = TextEmbeddingInference(base_url=url, auth_token=key, top_n=len(texts))
    found = ranker.postprocess_nodes(nodes, QueryBundle(query))
    return [[int(each.node.id_), each.score] for each in found]
