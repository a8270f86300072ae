"""A model small enough to check by head with an app around it, and the real service under the real uWSGI."""

from collections.abc import Sequence

import numpy as np
import pytest

from service import create_app
from service.engine.scheduler import Tokens, Vectors
from service.models import sources
from service.settings import Settings
from tests.server.processes import Service


class FakeModel:
    """One token per character; a vector holds a text's length, first and last character and a 1.

    The word "poison" makes the batch it is in fail. ``batches`` remembers what was computed together.
    """

    name = "fake"
    dimension = 4
    batch_tokens = 100

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        return [tuple(map(ord, text)) for text in texts]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        texts = ["".join(map(chr, tokens)) for tokens in batch]
        self.batches.append(texts)
        if any("poison" in text for text in texts):
            raise RuntimeError("the model's secret reason")
        return np.array([vector_of(text) for text in texts], np.float32)


def vector_of(text: str) -> list[float]:
    return [len(text), *((ord(text[0]), ord(text[-1])) if text else (0, 0)), 1]


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def app(model):
    app = create_app(Settings(max_body_bytes=20_000), model)
    yield app
    app.extensions["engine"].get().close()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where this run's compiled models are; the first test that needs one pays for it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def start(tmp_path, cache):
    """Start a service of the test's own: ``start(workers=2)``."""
    started = []

    def start(**settings):
        started.append(Service(tmp_path, **{"cache_dir": cache} | settings))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def service(tmp_path_factory, cache):
    """A service with two workers that many tests share; none may stop it."""
    service = Service(tmp_path_factory.mktemp("service"), cache_dir=cache, workers=2)
    yield service.wait_until_ready(2)
    service.kill()


@pytest.fixture(scope="session")
def reference():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(sources.find("all-MiniLM-L6-v2").directory), device="cpu")
