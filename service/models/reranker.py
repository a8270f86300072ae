"""A sentence-transformers CrossEncoder, which scores a query and a document: as the reference, and compiled."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from service import cpu
from service.engine.model import Pair, TokenIds
from service.errors import ModelUnusable
from service.models import accuracy, fingerprint, kind, reference
from service.models.artifact import Artifact, Manifest, Probes, Scoring
from service.models.batches import EQUAL_LENGTHS
from service.models.openvino import OpenVinoModel
from service.models.pairs import PairReader
from service.models.prompts import Prompts
from service.models.sources import Source
from service.models.tokenizer import TYPE
from service.models.torch import MAX_BATCH_TOKENS, PADDING_LIMITS, PROBES, TorchModel, pick_device, unusable

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

#: The largest difference from the reference's scores with which each dtype is served, in standard deviations of the
#: reference's scores over the probes. A BERT with the weights of MiniLM and a random head has 0.000005 in float32 and
#: 0.048 in bfloat16.
LARGEST_DIFFERENCE = {"float32": 0.001, "bfloat16": 0.1, "float16": 0.1}


class TorchReranker(PairReader, TorchModel):
    """A CrossEncoder whose tokenizer and padding are ours and whose forward is its own.

    Loading it compares both ways on a few pairs. The arguments are those of ``TorchModel``.

    Raises:
        ModelUnusable: the files are not such a model, or one whose scores cannot be reproduced here.
    """

    pooling = ""
    normalizes = False
    dimension = 1

    def __init__(self, source: Source, device: str, dtype: str, threads: int, worker: int = 1) -> None:
        started = time.monotonic()
        self.dtype, self.name, self.revision = dtype, source.name, source.revision
        self.body = self.pipeline = _load(source.directory, pick_device(device, worker), threads)
        if dtype == "float32":
            self.pipeline.float()
        self.max_batch_tokens = MAX_BATCH_TOKENS[self.pipeline.device.type]
        self.padding_limits = PADDING_LIMITS[self.pipeline.device.type]
        typed = "token_type_ids" in self.pipeline.tokenizer.model_input_names
        self.scoring = Scoring(_name_activation(source.directory, self.pipeline), typed)
        try:
            self.layout = reference.layout_of(self.pipeline)
            PairReader.__init__(self, reference.tokenizer_of(self.pipeline, self.layout), Prompts())
            difference = self._verify(source.directory, dtype)
        except ModelUnusable:
            raise
        except Exception as error:  # noqa: BLE001  # a model's code and torch raise what they like
            raise unusable(source.directory, self.pipeline.device, error) from None
        log.info(
            "%s: scores pairs of at most %s tokens, torch %s on %s with %d threads, "
            "difference from float32 sentence-transformers <= %.6f deviations, ready in %.1f s",
            *(self.name, self.max_length, dtype, self.pipeline.device, threads, difference, time.monotonic() - started),
        )

    def forward(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return the scores before the activation of a batch of shape (pairs, tokens), of shape (pairs, 1)."""
        types = (first >= TYPE).to(first.dtype)
        features = {"input_ids": first - types * TYPE, "attention_mask": second}
        if self.scoring.typed:
            features["token_type_ids"] = types
        scores: torch.Tensor = self.body(features)["scores"]
        return scores

    def probes(self, count: int) -> Sequence[Pair]:
        """Return pairs of many lengths, up to one that has to be cut."""
        texts = accuracy.texts(self.max_length, count)
        return [Pair(text[: len(text) // 3], other) for text, other in zip(texts[::-1], texts, strict=True)]

    def _verify(self, directory: Path, dtype: str) -> float:
        """Compare with ``CrossEncoder.predict``, take on ``dtype``, and return the largest difference."""
        import torch

        pairs = self.probes(PROBES)
        tokens = self.tokenize(pairs).ids
        self._compare_pairs(directory, pairs, tokens)
        cross_encoder: Any = self.pipeline
        given = [list(pair) for pair in pairs]
        expected = cross_encoder.predict(given, activation_fn=torch.nn.Identity(), batch_size=1).reshape(-1, 1)
        self._check_near(directory, "float32", accuracy.largest_difference(self.embed, tokens, expected, rows=(1,)))
        together = accuracy.largest_difference(self.embed, tokens, expected, rows=(len(tokens),))
        self.equal_lengths = not together <= LARGEST_DIFFERENCE["float32"]
        if self.equal_lengths:
            self.padding_limits = EQUAL_LENGTHS
            log.warning("%s: padding changes its scores, so only pairs of equal length share a batch", self.name)
        self.pipeline.to(getattr(torch, dtype))
        difference = accuracy.largest_difference(self.embed, tokens, expected, rows=(1,))
        self._check_near(directory, dtype, difference)
        return difference

    def _compare_pairs(self, directory: Path, pairs: Sequence[Pair], tokens: Sequence[TokenIds]) -> None:
        for pair, ours in zip(pairs, tokens, strict=True):
            features = self.pipeline.preprocess([list(pair)])
            types = features["token_type_ids"] if self.scoring.typed else 0
            theirs = (features["input_ids"] + TYPE * types).flatten().numpy()
            if len(theirs) <= (self.max_length or len(theirs)) and not np.array_equal(theirs, ours):
                raise ModelUnusable(
                    f"{directory}: its token ids here differ from those of CrossEncoder for {pair.document[:40]!r}; "
                    "models with such preprocessing are not supported"
                )

    def _check_near(self, directory: Path, dtype: str, difference: float) -> None:
        if not difference <= LARGEST_DIFFERENCE[dtype]:
            raise ModelUnusable(
                f"{directory}: its scores in {dtype} differ from those of CrossEncoder.predict by {difference:.2g} "
                "standard deviations; set EMBED_DTYPE=float32"
            )


class OpenVinoReranker(PairReader, OpenVinoModel):
    """A compiled CrossEncoder, without its activation."""

    def __init__(self, directory: Path, manifest: Manifest, dtype: str, threads: int) -> None:
        assert manifest.scoring is not None
        self.scoring = manifest.scoring
        OpenVinoModel.__init__(self, directory, manifest, dtype, threads)

    def measure(self, probes: Probes, *, equal_lengths: bool) -> float:
        """Return the largest difference from the reference's scores."""
        return accuracy.largest_difference(
            self.embed, probes.token_ids(), probes.expected(), equal_lengths=equal_lengths
        )


def load(artifact: Artifact, manifest: Manifest, dtype: str, threads: int) -> OpenVinoReranker:
    """Load the compiled model and check its scores on this CPU.

    ``dtype`` may be ``auto``: bfloat16 if the CPU supports it and the scores come near enough, else float32.

    Raises:
        ModelUnusable: the model could not be compiled, or its scores are too far from the reference's.
    """
    started = time.monotonic()
    chosen = ("bfloat16" if cpu.has_bfloat16() else "float32") if dtype == "auto" else dtype
    model = OpenVinoReranker(artifact.directory, manifest, chosen, threads)
    model.revision = artifact.source.revision
    model.fingerprint = fingerprint.compute(artifact.digests, chosen)
    difference = manifest.differences.get(chosen) if manifest.cpu == cpu.name() else None
    if difference is None:
        difference = model.measure(artifact.probes(), equal_lengths=manifest.equal_lengths)
    if not difference <= LARGEST_DIFFERENCE[chosen]:
        complaint = (
            f"{manifest.name}: OpenVINO in {chosen} differs from the reference's scores by {difference:.2g} deviations"
        )
        if chosen != "bfloat16" or dtype != "auto":
            raise ModelUnusable(complaint)
        log.warning("%s; serving it in float32, which is slower", complaint)
        return load(artifact, manifest, "float32", threads)
    log.info(
        "%s: scores pairs of at most %s tokens, OpenVINO %s with %d threads, "
        "difference from float32 sentence-transformers <= %.6f deviations, ready in %.2f s",
        *(model.name, model.max_length, chosen, threads, difference, time.monotonic() - started),
    )
    return model


def _load(directory: Path, device: str, threads: int) -> Any:
    """Load the CrossEncoder in ``directory``, in the dtype of its weights.

    Raises:
        ModelUnusable: its files are damaged or incomplete, or it is of another kind.
    """
    from sentence_transformers import CrossEncoder

    kind.check(directory, kind.RERANKER)
    model, missing = reference.construct(CrossEncoder, directory, device, threads)
    task = getattr(model[0], "transformer_task", "another")
    if task != "sequence-classification" or model.num_labels != 1:
        raise ModelUnusable(
            f"{directory} does {task} with {model.num_labels} labels; serve a CrossEncoder that does "
            "sequence-classification with one label, which is the score"
        )
    if missing and not np.isfinite(model.predict([["a", "b"]], show_progress_bar=False)).all():
        raise ModelUnusable(f"{directory} lacks weights: {', '.join(missing[:3])}; serve a complete model")
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        raise ModelUnusable(f"{directory}: its tokenizer has no Rust form; serve a model with a tokenizer.json")
    return model.eval()


def _name_activation(directory: Path, model: Any) -> Literal["sigmoid", "identity"]:
    name = type(model.activation_fn).__name__
    if name == "Sigmoid":
        return "sigmoid"
    if name == "Identity":
        return "identity"
    raise ModelUnusable(f"{directory} names the activation {name}; serve a model with Sigmoid or Identity")
