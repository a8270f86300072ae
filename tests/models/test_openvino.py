"""The compiled model against the reference, and what its vectors must not depend on."""

import msgspec
import numpy as np
import pytest

from service import cpu
from service.errors import ModelUnusable
from service.models import accuracy, export, fingerprint, openvino, sources
from service.models.artifact import Artifact
from tests.models.variants import collection

pytestmark = pytest.mark.model

DTYPES = ["float32", "bfloat16"] if cpu.has_bfloat16() else ["float32"]

NASTY = [
    *(
        "",
        " ",
        "\t\n",
        "a\u0000b",
        "\u200d\u200b",
        "\ufeffbom",
        "e\u0301 é",
        "ＦＵＬＬ width",
        "İstanbul ß ﬁ",
        "\ud7ff\ue000",
    ),
    *(
        "x" * 5000,
        "word " * 400,
        "你好" * 300,
        "😀👩‍👩‍👧‍👦🇩🇪" * 50,
        "[CLS] [SEP] [MASK] [PAD] [UNK]",
        "##ing ##",
        "مرحبا بالعالم",
    ),
    *(
        "Hello, Wörld! HELLO",
        "a-b_c/d\\e",
        "1,234.56e-7",
        "ไทยไม่มีวรรค",
        "\x7f\x80\x9f",
        "한국어 텍스트",
        "A" + "\u0301" * 300,
    ),
]


@pytest.fixture(scope="module")
def artifact(cache):
    return Artifact(sources.find("all-MiniLM-L6-v2"), cache)


@pytest.fixture(scope="module")
def manifest(artifact):
    return export.ensure(artifact)


@pytest.fixture(scope="module")
def load(artifact, manifest):
    return lambda dtype: openvino.load(artifact, manifest, dtype, threads=2)


def test_token_ids_are_those_of_sentence_transformers(load, reference):
    texts = NASTY + collection(60)
    expected = [[int(token) for token in reference.tokenize([text])["input_ids"][0]] for text in texts]

    assert [list(tokens) for tokens in load("float32").tokenize(texts).ids] == expected


@pytest.fixture(scope="module")
def texts():
    return sorted(collection(1000, longest=120), key=len)


@pytest.fixture(scope="module")
def expected(reference, texts):
    return reference.encode(texts)


@pytest.mark.parametrize("dtype", DTYPES)
def test_1000_texts_have_the_vectors_of_sentence_transformers(load, texts, expected, dtype):
    model = load(dtype)
    tokens = model.tokenize(texts).ids

    ours = np.concatenate([model.embed(tokens[start : start + 16]) for start in range(0, len(tokens), 16)])

    assert accuracy.cosines(ours, expected).min() >= openvino.LEAST_COSINE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_longer_neighbour_does_not_change_a_vector(load, dtype):
    model = load(dtype)
    short, long = model.tokenize(["a short text", "a long text " * 80]).ids

    assert accuracy.cosines(model.embed([short, long])[:1], model.embed([short])).min() >= openvino.LEAST_COSINE[dtype]


def test_ids_of_a_text_have_its_vector(load, reference):
    model = load("float32")
    texts = [*NASTY, "今天天气真好"]
    ids = [reference.tokenizer(text, truncation=False)["input_ids"] for text in texts]

    for text, token_ids in zip(texts, ids, strict=True):
        [ours], [theirs] = model.embed(model.tokenize([token_ids]).ids), model.embed(model.tokenize([text]).ids)
        assert ours.tolist() == theirs.tolist()


def test_the_fingerprint_is_that_of_the_files(artifact, load):
    digests = fingerprint.digest(artifact.source, None)

    assert load("float32").fingerprint == fingerprint.compute(digests, "float32")


def test_on_another_cpu_the_accuracy_is_measured_again(artifact, manifest, caplog):
    elsewhere = msgspec.structs.replace(manifest, cpu="another", cosines={})
    caplog.set_level("INFO")

    openvino.load(artifact, elsewhere, "float32", threads=2)

    assert "OpenVINO float32 with 2 threads, cosine to float32 sentence-transformers >= 1.0" in caplog.text


@pytest.mark.skipif("bfloat16" not in DTYPES, reason="this CPU has no bfloat16")
def test_a_model_too_inaccurate_in_bfloat16_gets_float32(artifact, manifest, caplog):
    """One warning says so."""
    poor = msgspec.structs.replace(manifest, cosines=manifest.cosines | {"bfloat16": 0.99})
    caplog.set_level("INFO")

    openvino.load(artifact, poor, "auto", threads=2)

    assert "OpenVINO in bfloat16 comes only to cosine 0.990000 of the reference; serving it in float32" in caplog.text
    assert "OpenVINO float32" in caplog.text


def test_a_wanted_dtype_that_is_too_inaccurate_is_refused(artifact, manifest):
    poor = msgspec.structs.replace(manifest, cosines={"float32": float("nan")})

    with pytest.raises(ModelUnusable, match="OpenVINO in float32 comes only to cosine nan"):
        openvino.load(artifact, poor, "float32", threads=2)
