"""The reference backend: a sentence-transformers model on CUDA or the CPU, forward by forward."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.model import PaddingLimits, TokenIds, Vectors
from service.errors import ModelUnusable, first_line, has_run_out
from service.models import accuracy, pipeline, reference, sources
from service.models.batches import EQUAL_LENGTHS
from service.models.reader import Reader
from service.models.sources import Source

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

#: Tokens of a batch: on a CPU a larger one outgrows the caches, a GPU wants to be filled. Not measured: threads
#: of OpenMP spin as they wait, so that beside other programs a token took 2.1 ms of processor time, with OpenVINO 0.25.
MAX_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}

#: On a CPU as with OpenVINO. A GPU pays more for a launch than for padding: up to half of a batch may be padding there
#: (not measured on a GPU).
PADDING_LIMITS = {"cpu": PaddingLimits(ratio=1.25, slack=8), "cuda": PaddingLimits(ratio=2.0, slack=64)}

#: The least cosine to the reference with which each dtype is served, as with OpenVINO. Of MiniLM torch's bfloat16 has
#: 0.9964, which is refused, and its float16 0.999998.
LEAST_COSINE = {"float32": 1 - 1e-6, "bfloat16": 0.9998, "float16": 0.9998}

#: Texts that are computed at load and compared with the reference.
PROBES = 8

#: Special tokens that one text of the comparison holds; T5 has a hundred, some models a thousand.
SPECIAL_STRINGS = 32

#: Texts of at most this many tokens are computed in one batch at load, to see whether that changes their vectors.
SHORT_PROBE_TOKENS = 128


class TorchModel(Reader):
    """A sentence-transformers model whose tokenizer and padding are ours and whose forward is its own.

    Loading it compares both ways on a few texts, which also warms it up.

    Args:
        source: where the model is.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        threads: how many of the CPU's cores one batch is spread over.
        worker: the number of this worker, from 1; of several cards it takes the next one.

    Raises:
        ModelUnusable: the files are not a model, or one whose vectors cannot be reproduced here.
    """

    backend = "torch"
    cosine: float

    def __init__(self, source: Source, device: str, dtype: str, threads: int, worker: int = 1) -> None:
        started = time.monotonic()
        sources.verify(source)
        self.dtype = dtype
        self.name = source.name
        self.revision = source.revision
        self.pipeline = reference.load(source.directory, pick_device(device, worker), threads)
        if dtype == "float32":
            self.pipeline.float()
        self.body, self.normalizes = pipeline.split(self.pipeline)
        self.pooling = pipeline.pooling_of(self.pipeline)
        self.max_batch_tokens = MAX_BATCH_TOKENS[self.pipeline.device.type]
        self.padding_limits = PADDING_LIMITS[self.pipeline.device.type]
        try:
            self.layout = reference.layout_of(self.pipeline)
            prompts = pipeline.prompts_of(self.pipeline)
            super().__init__(reference.tokenizer_of(self.pipeline, self.layout), prompts)
            self._prompt_tokens = self.tokenizer.count_prompt_tokens(prompts.own)
            self.cosine = self._verify(source.directory, dtype)
        except ModelUnusable:
            raise
        except Exception as error:  # noqa: BLE001  # a model's code and torch raise what they like
            raise unusable(source.directory, self.pipeline.device, error) from None
        log.info(
            "%s: %d dimensions, at most %s tokens a text, torch %s on %s with %d threads, "
            "cosine to float32 sentence-transformers >= %.6f, ready in %.1f s",
            *(self.name, self.dimension, self.max_length, dtype, self.pipeline.device, threads, self.cosine),
            time.monotonic() - started,
        )
        if self.pipeline.device.type == "cuda":
            _log_memory(self.pipeline.device, worker)

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        """Return float32 of shape (len(batch), dimension), not normalised."""
        import torch

        with torch.inference_mode():
            arrays = [torch.from_numpy(array).to(self.pipeline.device) for array in self.layout.arrays(batch)]
            vectors: Vectors = self.forward(*arrays)[: len(batch)].float().cpu().numpy()
            return accuracy.check_finite(vectors)

    def probes(self, count: int) -> Sequence[Any]:
        """Return texts of many lengths, up to one that has to be cut."""
        return accuracy.texts(self.max_length, count)

    def free(self) -> None:
        """Return the memory that torch keeps on the card."""
        import torch

        if self.pipeline.device.type == "cuda":
            torch.cuda.empty_cache()

    def forward(self, first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
        """Return the vectors of the two arrays of a batch, as ``Layout`` names them; not normalised."""
        features = dict(zip(self.layout.names, (first, second), strict=True))
        output = self.body({**features, "prompt_length": self._prompt_tokens})
        vectors: torch.Tensor = output[pipeline.VECTORS][:, : self.pipeline.truncate_dim]
        return vectors

    def _verify(self, directory: Path, dtype: str) -> float:
        """Compare with ``SentenceTransformer.encode``, take on ``dtype``, and return the smallest cosine."""
        import torch

        texts = accuracy.texts(self.max_length, PROBES)
        tokens = self.tokenize(texts).ids
        vectors = np.concatenate([self.embed([each]) for each in tokens])
        self.dimension = vectors.shape[1]
        known = [i for i in self._compare_tokens(directory, texts) if len(tokens[i])]
        expected = self.pipeline.encode([texts[i] for i in known], batch_size=1, show_progress_bar=False)
        ours = accuracy.normalize(vectors[known]) if self.normalizes else vectors[known]
        theirs = accuracy.normalize(expected) if self.normalizes else expected  # truncate_dim shortens them
        if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max()):
            raise ModelUnusable(
                f"{directory}: its vectors here differ from SentenceTransformer.encode by up to "
                f"{np.abs(ours - theirs).max():.2g}; models with such preprocessing are not supported"
            )
        self._compare_neighbours(tokens, vectors)
        self.pipeline.to(getattr(torch, dtype))
        cosine = accuracy.least_cosine(self.embed, [tokens[i] for i in known], expected, rows=(1,))
        if not cosine >= LEAST_COSINE[dtype]:
            raise ModelUnusable(
                f"{directory}: torch in {dtype} comes only to cosine {cosine:.6f} of the reference; set "
                "EMBED_DTYPE=float32"
            )
        return cosine

    def _compare_tokens(self, directory: Path, texts: list[str]) -> list[int]:
        """Compare token ids with the reference's; return the indices of ``texts`` that it reads as far as we do."""
        limit, prompt = self.max_length, self.known_prompts.own or None
        special = " a ".join(self.tokenizer.special_strings()[:SPECIAL_STRINGS])
        read = []
        for index, text in enumerate([*texts, special, accuracy.long_text(limit)]):
            theirs = self.pipeline.preprocess([text], prompt=prompt)["input_ids"].flatten().numpy()
            if limit is not None and len(theirs) > limit:
                continue  # the reference has no limit, or one that its positions do not reach
            if not np.array_equal(theirs, self.tokenize([text]).ids[0]):
                raise ModelUnusable(
                    f"{directory}: its token ids here differ from those of SentenceTransformer for {text[:40]!r}; "
                    "models with such preprocessing are not supported"
                )
            read.append(index)
        return [index for index in read if index < len(texts)]

    def _compare_neighbours(self, tokens: Sequence[TokenIds], alone: Vectors) -> None:
        """Let only texts of one length share a batch if a vector depends on what it is padded to."""
        short = [index for index, each in enumerate(tokens) if 0 < len(each) <= SHORT_PROBE_TOKENS]
        cosine = accuracy.cosines(self.embed([tokens[index] for index in short]), alone[short]).min()
        dtype = str(self.pipeline.dtype).removeprefix("torch.")
        self.equal_lengths = not cosine >= LEAST_COSINE[dtype]
        if self.equal_lengths:
            self.padding_limits = EQUAL_LENGTHS
            log.warning(
                "%s: a longer text in the same batch changes a text's vector (cosine %.6f), so only texts of equal "
                "length share one, which is slower",
                *(self.name, cosine),
            )


def unusable(directory: Path, device: "torch.device", error: Exception) -> ModelUnusable:
    """Say why a model that was loaded cannot be used."""
    problem = f"has no room on {device}" if has_run_out(error) else "fails on a text"
    return ModelUnusable(f"{directory} {problem}: {first_line(error)}")


def pick_device(device: str, worker: int) -> str:
    """Name one device: of several CUDA cards, worker i takes card (i - 1) modulo their number."""
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise ModelUnusable(f"EMBED_DEVICE={device}: torch {torch.__version__} finds no CUDA device; use auto or cpu")
    cards = torch.cuda.device_count()
    return device if ":" in device else f"cuda:{(worker - 1) % cards}"


def _log_memory(device: "torch.device", worker: int) -> None:
    """Log what of the card's memory this worker took and what is left for others."""
    import torch

    free, total = (number // 2**20 for number in torch.cuda.mem_get_info(device))
    ours = torch.cuda.memory_reserved(device) // 2**20
    log.info(
        "worker %d holds %d MB on %s, and its CUDA context beside that; %d of %d MB are free for others",
        *(worker, ours, device, free, total),
    )
