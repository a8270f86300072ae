"""litellm: the providers that take the address of a server."""

import litellm
import openai

litellm.suppress_debug_info = True


def embed_as_openai(url, key, texts):
    return _embed("openai/m3e-base", f"{url}/v1", key, texts)


def embed_as_hosted_vllm(url, key, texts):
    return _embed("hosted_vllm/m3e-base", f"{url}/v1", key, texts)


def embed_as_infinity(url, key, texts):
    return _embed("infinity/m3e-base", url, key, texts)


def embed_as_huggingface(url, key, texts):
    return _embed("huggingface/m3e-base", url, key, texts, input_type="feature-extraction")


def rerank_as_cohere(url, key, query, texts):
    return _rerank("cohere/rerank-v3.5", url, key, query, texts)


def rerank_as_jina(url, key, query, texts):
    return _rerank("jina_ai/jina-reranker-v2", f"{url}/v1/rerank", key, query, texts)


def rerank_as_infinity(url, key, query, texts):
    return _rerank("infinity/m3e-base", url, key, query, texts)


def rerank_as_hosted_vllm(url, key, query, texts):
    return _rerank("hosted_vllm/m3e-base", url, key, query, texts)


def rerank_as_huggingface(url, key, query, texts):
    return _rerank("huggingface/m3e-base", url, key, query, texts)


def complain(url, key):
    """Return the name of what litellm raises for a request that cannot be served."""
    try:
        _embed("openai/m3e-base", f"{url}/v1", key, [], max_retries=0)
    except openai.OpenAIError as error:
        return type(error).__name__


def _embed(model, address, key, texts, **options):
    answer = litellm.embedding(model=model, api_base=address, api_key=key, input=texts, **options)
    return [each["embedding"] for each in answer.data]


def _rerank(model, address, key, query, texts):
    answer = litellm.rerank(model=model, api_base=address, api_key=key, query=query, documents=texts)
    return [[each["index"], each["relevance_score"]] for each in answer.results]
