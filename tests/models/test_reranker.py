"""A CrossEncoder gives the scores of sentence-transformers on both backends."""

import numpy as np
import pytest

from service.engine.model import Pair, Reading
from service.errors import InvalidInput, ModelUnusable
from service.models import catalog
from service.models.tokenizer import TYPE
from service.settings import Settings
from tests.models.families import SERVED, build, build_reranker

pytestmark = pytest.mark.model

PAIRS = [
    *(Pair("time flies like an arrow", "fruit flies like a banana " * count) for count in (0, 1, 3, 50)),
    *(Pair("The quick brown fox " * 30, "time"), Pair("", ""), Pair("", "a"), Pair("今天的会议", "Der Fluß führt")),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return build_reranker(tmp_path_factory.mktemp("reranker") / "small")


@pytest.fixture(scope="module")
def expected(directory):
    """The scores of sentence-transformers, before the activation."""
    import torch
    from sentence_transformers import CrossEncoder

    cross_encoder = CrossEncoder(str(directory), device="cpu")
    return cross_encoder.predict([list(pair) for pair in PAIRS], activation_fn=torch.nn.Identity(), batch_size=1)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def model(request, directory, tmp_path_factory):
    return load(directory, tmp_path_factory.mktemp("cache"), backend=request.param, dtype="float32")


def load(directory, cache, **settings):
    settings = Settings(rerank_model=str(directory), device="cpu", cache_dir=str(cache), **settings)
    return catalog.load_reranker(settings.reranker(), worker=1, workers=1)


def test_scores_are_those_of_sentence_transformers(model, expected):
    ids = model.tokenize(PAIRS).ids
    alone = np.concatenate([model.embed([each]) for each in ids])

    assert alone.ravel() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert model.embed(ids).ravel() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert np.ptp(expected) > 0.1  # or they would agree whatever is read
    assert model.activation == "sigmoid"


def test_a_pair_that_is_too_long_is_cut_and_named(model):
    read = model.tokenize(PAIRS)

    assert read.cut == [2, 3, 4]
    assert max(map(len, read.ids)) == model.max_length == 64


def test_the_types_of_tokens_stand_in_their_ids(model):
    [ids] = model.tokenize([Pair("time", "time")]).ids
    types, plain = (ids >= TYPE).tolist(), (ids % TYPE).tolist()

    assert types == [False] * (len(ids) // 2 + 1) + [True] * (len(ids) // 2)
    assert plain[1:3] == plain[3:]


def test_a_pair_can_be_cut_at_the_left(model):
    long = Pair("time", "fruit flies like a banana " * 50 + "arrow")
    [left], [right] = (model.tokenize([long], Reading(side=side)).ids for side in ("left", "right"))
    [arrow] = model.tokenize(["arrow"]).ids

    assert left[-len(arrow) + 2 :].tolist() == arrow[2:].tolist() != right[-len(arrow) + 2 :].tolist()


def test_token_ids_are_no_pair(model):
    with pytest.raises(InvalidInput, match="takes texts"):
        model.tokenize([[1, 2]])


def test_a_model_names_the_activation_it_wants(tmp_path):
    directory = build_reranker(
        tmp_path, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity", "version": "5.0.0"}
    )

    assert load(directory, tmp_path, backend="torch").activation == "identity"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": 3}, "with 3 labels; serve a CrossEncoder that does sequence-classification with one label"),
        (
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh", "version": "5.0.0"}},
            "names the activation Tanh; serve a model with Sigmoid or Identity",
        ),
    ],
)
def test_a_reranker_that_cannot_be_served_is_refused(tmp_path, change, complaint):
    with pytest.raises(ModelUnusable, match=complaint):
        load(build_reranker(tmp_path, **change), tmp_path, backend="torch")


def test_each_kind_of_model_has_its_setting(tmp_path, directory):
    embeds = build(tmp_path / "embeds", SERVED["BERT"])
    with pytest.raises(
        ModelUnusable, match="is a SentenceTransformer, which gives one dense vector a text; serve a Cross"
    ):
        load(embeds, tmp_path, backend="torch")
    with pytest.raises(ModelUnusable, match="is a CrossEncoder, which gives scores for pairs of texts"):
        catalog.load(Settings(model=str(directory), device="cpu", cache_dir=str(tmp_path)), worker=1, workers=1)


def test_a_reranker_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelUnusable, match="EMBED_RERANK_MODEL=/nowhere: no such directory"):
        load("/nowhere", tmp_path)
