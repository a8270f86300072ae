"""Real architectures with random weights: served with the vectors of SentenceTransformer.encode, or refused by name."""

import numpy as np
import pytest

from service import cpu
from service.engine.engine import Engine
from service.models import accuracy, export, openvino
from service.models.artifact import Artifact
from service.models.sources import Source
from service.models.torch import TorchModel
from tests.models.families import GPT, SERVED, build

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
    engine = Engine(model, pytest.fail)
    alone = np.concatenate([engine.embed([text]).vectors for text in TEXTS])
    mixed = engine.embed(TEXTS).vectors
    engine.close()

    assert accuracy.cosines(alone, served.expected).min() >= 1 - 1e-6
    assert accuracy.cosines(mixed, served.expected).min() >= 1 - 1e-6
    assert alone == pytest.approx(served.expected, rel=1e-3, abs=1e-3)
