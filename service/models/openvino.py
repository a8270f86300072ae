"""The CPU backend: a compiled artifact run by OpenVINO, in a worker that imports neither torch nor transformers."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service import cpu
from service.engine.model import PaddingLimits, TokenIds, Vectors
from service.errors import ModelUnusable
from service.models import accuracy, fingerprint
from service.models.artifact import Artifact, Manifest
from service.models.batches import EQUAL_LENGTHS
from service.models.reader import Reader
from service.models.tokenizer import Tokenizer

log = logging.getLogger(__name__)

#: How OpenVINO calls the dtypes, and the least cosine to the reference with which each is served.
PRECISION = {"float32": "f32", "bfloat16": "bf16"}
LEAST_COSINE = {"float32": 1 - 1e-6, "bfloat16": 0.9998}

#: Tokens of a batch where ``budget`` measured nothing. On 2 cores of Zen 5 a batch of 256, 512, 1024 and 2048 tokens
#: (64 a text) runs 31.0, 34.1, 35.6 and 35.0 thousand tokens a second with MiniLM and 4.7, 5.0, 5.1 and 5.0 with a
#: BERT-base; a short text waits for one batch, so the smaller of what is equally fast.
MAX_BATCH_TOKENS = 512

#: 128 mixed texts of MiniLM in batches of 1024 tokens: a ratio of 1.1 or 1.25 gave 88 texts a second, 1.5 or 2 gave 82.
#: Among short texts a few wasted columns cost less than a further forward.
PADDING_LIMITS = PaddingLimits(ratio=1.25, slack=8)


class OpenVinoModel(Reader):
    """A compiled sentence-transformers pipeline: its graph has pooling and dense layers, and no last Normalize."""

    backend = "openvino"
    cosine: float

    def __init__(self, directory: Path, manifest: Manifest, dtype: str, threads: int) -> None:
        self.name = manifest.name
        self.revision: str | None = None
        self.dtype = dtype
        self.pooling = manifest.pooling
        self.normalizes = manifest.normalizes
        self.dimension = manifest.dimension
        self.max_batch_tokens = MAX_BATCH_TOKENS
        self.padding_limits = EQUAL_LENGTHS if manifest.equal_lengths else PADDING_LIMITS
        self._layout = manifest.layout
        tokenizer = Tokenizer(
            (directory / "tokenizer.json").read_text(encoding="utf-8"),
            special_tokens=manifest.special_tokens,
            split_special_tokens=manifest.split_special_tokens,
            vocabulary_size=manifest.vocabulary_size,
        )
        super().__init__(tokenizer, manifest.prompts)
        self._request = _compile(directory / "model.xml", dtype, threads).create_infer_request()
        # The first batch allocates. It must also run alone: two threads that meet in the binding's first use of a
        # tensor wait for each other for ever, one for the GIL, the other for a C++ static's guard (OpenVINO 2026.4).
        self.embed(self.tokenize(["", "a b"]).ids)

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        """Return float32 of shape (len(batch), dimension), not normalised."""
        tensors = [runtime().Tensor(array, shared_memory=True) for array in self._layout.arrays(batch)]
        for index, tensor in enumerate(tensors):
            self._request.set_input_tensor(index, tensor)
        self._request.infer()
        vectors: Vectors = self._request.get_output_tensor(0).data[: len(batch)].copy()
        return accuracy.check_finite(vectors)

    def free(self) -> None:
        """Do nothing: the CPU's memory is malloc's."""


def load(artifact: Artifact, manifest: Manifest, dtype: str, threads: int) -> OpenVinoModel:
    """Load the model and check its accuracy on this CPU.

    ``dtype`` may be ``auto``: bfloat16 if the CPU supports it and accuracy holds, else float32.

    Raises:
        ModelUnusable: the model could not be compiled, or its vectors are too far from the reference's.
    """
    started = time.monotonic()
    chosen = ("bfloat16" if cpu.has_bfloat16() else "float32") if dtype == "auto" else dtype
    model = OpenVinoModel(artifact.directory, manifest, chosen, threads)
    model.revision = artifact.source.revision
    model.fingerprint = fingerprint.compute(artifact.digests, chosen)
    cosine = manifest.cosines.get(chosen) if manifest.cpu == cpu.name() else None
    if cosine is None:
        known = artifact.probes()
        cosine = accuracy.least_cosine(
            model.embed, known.token_ids(), known.expected(), equal_lengths=manifest.equal_lengths
        )
    if not cosine >= LEAST_COSINE[chosen]:
        complaint = f"{manifest.name}: OpenVINO in {chosen} comes only to cosine {cosine:.6f} of the reference"
        if chosen != "bfloat16" or dtype != "auto":
            raise ModelUnusable(complaint)
        log.warning("%s; serving it in float32, which is slower", complaint)
        return load(artifact, manifest, "float32", threads)
    model.cosine = cosine
    log.info(
        "%s: %d dimensions, at most %s tokens a text, OpenVINO %s with %d threads, "
        "cosine to float32 sentence-transformers >= %.6f, ready in %.2f s",
        *(model.name, model.dimension, model.max_length, chosen, threads, cosine, time.monotonic() - started),
    )
    return model


def runtime() -> Any:
    """Import OpenVINO without ``openvino_telemetry``, which it does without when that cannot be imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes its import fail
    import openvino  # type: ignore[import-untyped]

    return openvino


def _compile(graph: Path, dtype: str, threads: int) -> Any:
    return runtime().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": PRECISION[dtype],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Pinned, every worker takes the same first core: 771 requests a second instead of 1377 on two cores.
            "ENABLE_CPU_PINNING": False,
            # Kernels prepared per shape: by default 5000 are kept, and 1200 shapes of batch took 395 MB of a worker's
            # own memory. With 300 they take 215 MB; short texts are as fast, 150 mixed shapes in turn 4 % slower.
            "CPU_RUNTIME_CACHE_CAPACITY": 300,
        },
    )
