"""infinity-client, of the Infinity server."""

from infinity_client import AuthenticatedClient
from infinity_client.api.default import embeddings, models
from infinity_client.api.default import rerank as ranking
from infinity_client.models import OpenAIEmbeddingInputText, RerankInput


def embed(url, key, texts):
    answer = embeddings.sync(client=_client(url, key), body=OpenAIEmbeddingInputText(input_=texts))
    return [each.embedding for each in answer.data]


def rerank(url, key, query, texts):
    answer = ranking.sync(client=_client(url, key), body=RerankInput(query=query, documents=texts))
    return [[each.index, each.relevance_score] for each in answer.results]


def find_model(url, key):
    (listed,) = models.sync(client=_client(url, key)).data
    return listed.id


def _client(url, key):
    return AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
