"""The real model: our tokenising, padding and batching against SentenceTransformer.encode."""

import json
import shutil

import numpy as np
import pytest

from service.engine.engines import Engines
from service.engine.host import Host
from service.errors import ModelUnusable
from service.models import sources
from service.models.torch import TorchModel, pick_device
from tests.models.variants import collection, pieces, saved

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model():
    return TorchModel(sources.find("all-MiniLM-L6-v2"), "cpu", "float32", threads=2)


@pytest.fixture
def engine(model):
    engines = Engines([model], Host(pytest.fail))
    yield engines.find()
    engines.close()


def test_vectors_are_those_of_sentence_transformers(engine, reference):
    texts = collection(100)

    cosines = np.sum(engine.embed(texts).vectors * reference.encode(texts), axis=1)

    assert cosines.min() >= 1 - 1e-6


def test_a_text_has_the_same_vector_alone_and_in_a_batch(engine):
    texts = collection(40)

    together = engine.embed(texts).vectors
    alone = np.concatenate([engine.embed([text]).vectors for text in texts])

    assert np.abs(together - alone).max() <= 1e-5


def test_token_counts_are_those_of_sentence_transformers(model, reference):
    texts = ["", " ", "Hello, wörld!", "A\u0000B\u200d", "今天 天气", "😀" * 300, "x" * 5000, *collection(30)]

    expected = [[int(token) for token in reference.tokenize([text])["input_ids"][0]] for text in texts]

    assert [list(tokens) for tokens in model.tokenize(texts).ids] == expected


def test_a_prompt_and_a_dense_layer_are_served_as_they_are(tmp_path):
    from sentence_transformers.sentence_transformer.modules import Dense

    transformer, pooling = pieces()
    source = saved(
        tmp_path,
        transformer,
        pooling(384, pooling_mode="mean", include_prompt=False),
        Dense(384, 16),
        prompts={"query": "query: "},
        default_prompt_name="query",
    )

    assert TorchModel(source, "cpu", "float32", threads=2).dimension == 16  # loading it compares with encode


def test_a_static_embedding_model_is_served_too(tmp_path):
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    transformer, _ = pieces()
    tokenizer = transformer.tokenizer.backend_tokenizer
    source = saved(tmp_path, StaticEmbedding(tokenizer, embedding_dim=8))

    assert TorchModel(source, "cpu", "float32", threads=2).dimension == 8


def test_vectors_that_cannot_be_reproduced_are_refused(monkeypatch):
    from sentence_transformers import SentenceTransformer

    monkeypatch.setattr(SentenceTransformer, "encode", lambda _, texts, **__: np.ones((len(texts), 384), np.float32))

    with pytest.raises(ModelUnusable, match=r"differ from SentenceTransformer\.encode"):
        TorchModel(sources.find("all-MiniLM-L6-v2"), "cpu", "float32", threads=2)


@pytest.mark.parametrize(
    "breakage",
    [
        lambda copy: (copy / "model.safetensors").write_bytes(b"garbage"),
        lambda copy: (copy / "config.json").write_text("{"),
        lambda copy: (copy / "modules.json").write_text(json.dumps([{"type": "no.such.Module", "path": "", "idx": 0}])),
    ],
    ids=["weights", "config", "modules"],
)
def test_a_damaged_model_is_refused_in_one_line(tmp_path, breakage):
    copy = tmp_path / "damaged"
    shutil.copytree(sources.find("all-MiniLM-L6-v2").directory, copy)
    breakage(copy)

    with pytest.raises(ModelUnusable, match="damaged cannot be loaded") as refusal:
        TorchModel(sources.find(str(copy)), "cpu", "float32", threads=2)

    assert "\n" not in str(refusal.value)


def test_a_model_without_room_on_its_device_is_refused(monkeypatch):
    """In one line."""
    import torch
    from sentence_transformers import SentenceTransformer

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SentenceTransformer, "encode", fail)

    with pytest.raises(ModelUnusable, match="has no room on cpu: OutOfMemoryError: CUDA out of memory"):
        TorchModel(sources.find("all-MiniLM-L6-v2"), "cpu", "float32", threads=2)


@pytest.mark.parametrize(("worker", "card"), [(1, "cuda:0"), (2, "cuda:1"), (3, "cuda:0")])
def test_workers_share_the_cards_in_turn(monkeypatch, worker, card):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    assert pick_device("auto", worker) == pick_device("cuda", worker) == card
    assert pick_device("cuda:1", worker) == "cuda:1"
    assert pick_device("cpu", worker) == "cpu"


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(ModelUnusable, match="EMBED_DEVICE=cuda:1: torch .* finds no CUDA device"):
        TorchModel(sources.find("all-MiniLM-L6-v2"), "cuda:1", "float32", threads=2)
