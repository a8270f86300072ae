"""How many texts a request may have, whatever its dialect."""

import pytest

from service.api import dialects
from service.app import create_app
from service.settings import Settings
from tests.fakes import FakeModel

TEXTS = ["a", "b", "c"]

#: Every body with several texts that a route takes.
BODIES = {
    "/v1/embeddings": [{"input": TEXTS}, {"input": [[1], [2], [3]]}],
    "/embeddings": [{"input": TEXTS}],
    "/v1/engines/<path:model>/embeddings": [{"input": TEXTS}],
    "/openai/deployments/<path:model>/embeddings": [{"input": TEXTS}],
    "/embed": [{"input": TEXTS}, {"inputs": TEXTS}],
    "/v1/embed": [{"texts": TEXTS}, {"inputs": TEXTS}, {"inputs": [{"content": [{"text": "a"}]}] * 3}],
    "/v2/embed": [{"texts": TEXTS}],
    "/rerank": [{"query": "q", "documents": TEXTS}, {"query": "q", "texts": TEXTS}],
    "/v1/rerank": [{"query": "q", "documents": TEXTS}],
    "/v2/rerank": [{"query": "q", "documents": TEXTS}],
    "/similarity": [{"inputs": {"source_sentence": "q", "sentences": TEXTS}}],
    "/tokenize": [{"inputs": TEXTS}],
    "/decode": [{"ids": [[1], [2], [3]]}],
    "/": [{"inputs": TEXTS}, {"query": "q", "texts": TEXTS}],
    "/v1": [{"inputs": TEXTS}],
    "/invocations": [{"inputs": TEXTS}],
    "/vertex": [{"instances": [{"inputs": TEXTS}]}, {"instances": [{"inputs": each} for each in TEXTS]}],
    "/api/embed": [{"input": TEXTS}],
    "/vectors": [{"texts": TEXTS}],
}

#: They take one text, or none.
OTHERS = {"/api/embeddings", "/api/show", "/v1/chat/completions", "/embed_all", "/embed_sparse", "/predict"}


@pytest.fixture(scope="module")
def app():
    app = create_app(Settings(max_inputs=2), FakeModel())
    yield app
    app.extensions["engines"]().close()


@pytest.mark.parametrize(("route", "body"), [(route, body) for route, each in BODIES.items() for body in each])
def test_more_texts_than_the_setting_allows_are_refused(app, route, body):
    answer = app.test_client().post(route.replace("<path:model>", "a"), json=body)

    assert answer.status_code in {400, 413, 422}
    assert "send at most 2 at a time" in answer.text


def test_every_route_that_takes_texts_is_asked(app):
    ours = {dialect.routes.name for dialect in dialects.ALL}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in ours]

    assert {rule.rule for rule in rules if "POST" in rule.methods} == {*BODIES, *OTHERS}
