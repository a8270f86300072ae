"""Real architectures with random weights: served with the vectors of SentenceTransformer.encode, or refused by name."""

import shutil

import numpy as np
import pytest

from service import cpu
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.model import Reading
from service.errors import InvalidInput, ModelUnusable
from service.models import accuracy, export, openvino
from service.models.artifact import Artifact
from service.models.sources import Source
from service.models.torch import TorchModel
from tests.models.families import GPT, REFUSED, SERVED, build, drop, edit, leave_the_bare_model

pytestmark = pytest.mark.model

#: Empty, short, with special tokens of several tokenizers, and longer than the limit of 64.
TEXTS = [
    "",
    "time",
    "year people way",
    "[MASK] time </s> year <|endoftext|> day",
    "今天天气 time " * 20,
    "world life " * 9,
]


@pytest.fixture(scope="module", autouse=True)
def small():
    """Compute few probes with one thread, which on tiny models is faster than two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "cores", lambda: 1)
        patch.setattr(accuracy, "COUNT", 8)
        patch.setattr(accuracy, "LONGEST", 256)
        yield


class Served:
    """A family's model, saved, with what SentenceTransformer makes of ``TEXTS``, each alone."""

    def __init__(self, name, root):
        family = SERVED[name]
        self.source = Source("family", build(root / "model", family))
        self.artifact = Artifact(self.source, root / "cache")
        self.expected = expected(self.source.directory, family)

    def torch(self, dtype="float32"):
        return TorchModel(self.source, "cpu", dtype, threads=1)

    def openvino(self):
        return openvino.load(self.artifact, export.export(self.artifact), "float32", threads=1)


def expected(directory, family):
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(directory), device="cpu").float()
    if family.limit:
        reference.max_seq_length = family.limit
    vectors = [reference.encode([text])[0] for text in TEXTS[1:]]
    # Without special tokens it fails on the empty text, except beside others.
    empty = ["", "time"] if family.style is GPT else [""]
    return np.stack([reference.encode(empty)[0], *vectors])


@pytest.fixture(scope="module", params=SERVED)
def served(request, tmp_path_factory):
    return Served(request.param, tmp_path_factory.mktemp("family"))


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_vectors_are_those_of_sentence_transformers(served, backend):
    model = getattr(served, backend)()
    engines = Engines([model], Host(pytest.fail))
    engine = engines.find()
    alone = np.concatenate([engine.embed([text]).vectors for text in TEXTS])
    mixed = engine.embed(TEXTS).vectors
    engines.close()

    assert accuracy.cosines(alone, served.expected).min() >= 1 - 1e-6
    assert accuracy.cosines(mixed, served.expected).min() >= 1 - 1e-6
    assert alone == pytest.approx(served.expected, rel=1e-3, abs=1e-3)


@pytest.fixture(params=["openvino", "torch"])
def load(request, tmp_path):
    """Load a family's model with both backends in turn, and the reference."""
    from sentence_transformers import SentenceTransformer

    def load(name):
        served = Served(name, tmp_path)
        return getattr(served, request.param)(), SentenceTransformer(str(served.source.directory), device="cpu")

    return load


def test_vectors_are_those_before_a_last_normalize(load):
    model, reference = load("BERT, normalised")
    del reference[2]

    vectors = model.embed(model.tokenize(TEXTS).ids)

    assert model.normalizes
    assert vectors == pytest.approx(np.stack([reference.encode([text])[0] for text in TEXTS]), rel=1e-3, abs=1e-3)


def test_a_request_may_ask_for_a_prompt(load):
    model, reference = load("BERT, normalised")

    vectors = model.embed(model.tokenize(["year people"], Reading(prompt=model.prompts["q"])).ids)

    assert accuracy.cosines(vectors, reference.encode(["year people"], prompt_name="q")).min() >= 1 - 1e-6
    assert accuracy.cosines(vectors, reference.encode(["year people"])).max() < 1 - 1e-5


def test_a_model_says_what_it_is(load):
    model, _ = load("BERT, normalised")

    assert model.backend in type(model).__module__
    assert (model.dtype, model.pooling, model.default_prompt) == ("float32", "mean", None)
    assert model.prompts == {"query": "", "document": "", "q": "time: ", "d": ""}


def test_several_poolings_are_all_named(load):
    assert load("BERT, two poolings")[0].pooling == "cls+mean"


def test_a_prompt_that_pooling_leaves_out_is_the_only_one(load):
    model, _ = load("BERT, prompt left out")

    assert (model.prompts, model.default_prompt) == ({"q": "time: "}, "q")
    assert model.tokenize(["a"], Reading(prompt="time: ")).ids[0].tolist() == model.tokenize(["a"]).ids[0].tolist()
    with pytest.raises(InvalidInput, match="only 'q'"):
        model.tokenize(["a"], Reading(prompt=""))


def test_an_id_without_a_vector_is_refused(load):
    model, _ = load("static")
    size = model.tokenizer.vocabulary_size

    assert model.embed(model.tokenize([[size - 1]]).ids).shape == (1, 16)
    with pytest.raises(InvalidInput, match=f"send 0 to {size - 1}"):
        model.tokenize([[size]])


def test_a_conversion_that_fails_leaves_the_log_as_it_was(tmp_path, caplog):
    """EmbeddingGemma needs the second try."""
    caplog.set_level("INFO")
    Served("EmbeddingGemma", tmp_path).openvino()

    assert caplog.text.count("tracing and converting") == 2
    assert "cosine to the reference >= " in caplog.text


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return build(tmp_path_factory.mktemp("bert") / "model", SERVED["BERT"])


@pytest.fixture
def copy(bert, tmp_path):
    return shutil.copytree(bert, tmp_path / "copy")


def load_torch(directory, dtype="float32"):
    return TorchModel(Source("copy", directory), "cpu", dtype, threads=1)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_sentence(copy, name):
    damage, sentence = REFUSED[name]
    damage(copy)

    with pytest.raises(ModelUnusable, match=sentence) as refusal:
        load_torch(copy)

    assert "\n" not in str(refusal.value)


def test_a_pooler_that_nothing_reads_may_be_missing(copy):
    drop(copy, "pooler.")

    assert load_torch(copy).dimension == 32


def test_a_plain_masked_language_model_is_served(copy):
    leave_the_bare_model(copy, "BertForMaskedLM")

    assert load_torch(copy).dimension == 32


def scale(directory, name, rows, factor):
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    weights[name][rows] *= factor
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def test_a_model_that_overflows_in_half_precision_is_refused(copy):
    scale(copy, "encoder.layer.0.intermediate.dense.weight", slice(None), 1e6)

    with pytest.raises(ModelUnusable, match="torch in float16 .*; set EMBED_DTYPE=float32"):
        load_torch(copy, "float16")


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_a_vector_that_is_not_finite_is_never_an_answer(tmp_path, backend):
    from tokenizers import Tokenizer

    served = Served("static", tmp_path)
    word = Tokenizer.from_file(str(served.source.directory / "tokenizer.json")).token_to_id("thing")
    scale(served.source.directory, "embedding.weight", word, float("nan"))
    model = getattr(served, backend)()

    with pytest.raises(FloatingPointError, match="the model gave NaN or infinity"):
        model.embed(model.tokenize(["time", "thing"]).ids)


def test_prompts_that_are_not_applied_are_mentioned(copy, caplog):
    edit(copy, "config_sentence_transformers.json", prompts={"query": "query: ", "document": ""})
    caplog.set_level("INFO")
    load_torch(copy)

    assert "has prompts that a request may ask for: query" in caplog.text


def test_a_normalised_model_may_be_cut_too(tmp_path):
    """SentenceTransformer cuts after the last Normalize: the direction is the same, the length is not."""
    source = build(tmp_path, SERVED["BERT, normalised"]._replace(options={"truncate_dim": 8}))

    assert load_torch(source).embed([np.array([2, 5, 3], np.int32)]).shape == (1, 8)
