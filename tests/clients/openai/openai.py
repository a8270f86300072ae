"""openai, the current release."""

import openai

MODEL = "text-embedding-3-small"


def embed_as_base64(url, key, texts):
    """What the client asks for if nobody says otherwise."""
    return _embed(url, key, texts)


def embed_as_floats(url, key, texts):
    return _embed(url, key, texts, encoding_format="float")


def embed_beside_v1(url, key, texts):
    return _embed(url, key, texts, prefix="")


def embed_one(url, key, texts):
    return [_embed(url, key, text)[0] for text in texts]


def embed_with_azure(url, key, texts):
    client = openai.AzureOpenAI(azure_endpoint=url, api_key=key, api_version="2024-10-21")
    return _vectors(client.embeddings.create(model=MODEL, input=texts))


def find_model(url, key):
    models = openai.OpenAI(base_url=f"{url}/v1", api_key=key).models
    (listed,) = models.list().data
    return models.retrieve(listed.id).id


def complain(url, key):
    """Return what the client raises for a request that cannot be served."""
    try:
        _embed(url, key, [], encoding_format="float")
    except openai.BadRequestError as error:
        return [error.type, error.param, error.body["message"]]


def _embed(url, key, texts, prefix="/v1", **members):
    client = openai.OpenAI(base_url=url + prefix, api_key=key)
    return _vectors(client.embeddings.create(model=MODEL, input=texts, **members))


def _vectors(answer):
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    return [each.embedding for each in answer.data]
