"""The reference backend: a sentence-transformers model on CUDA or the CPU, forward by forward."""

import logging
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from service.engine.model import PaddingLimits, TokenIds, Vectors
from service.errors import ModelUnusable
from service.models import accuracy, sources
from service.models.batches import Layout
from service.models.sources import Source
from service.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

#: Tokens of a batch: on a CPU a larger one outgrows the caches, a GPU wants to be filled.
MAX_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}

#: On a CPU as with OpenVINO. A GPU pays more for a launch than for padding: up to half of a batch may be padding there
#: (not measured on a GPU).
PADDING_LIMITS = {"cpu": PaddingLimits(ratio=1.25, slack=8), "cuda": PaddingLimits(ratio=2.0, slack=64)}

#: Encoded both ways at load: short, long, Chinese, empty.
PROBES = ["a", "The quick brown fox jumps over the lazy dog. " * 40, "今天天气真好,我们去公园散步吧。", ""]


class TorchModel:
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

    def __init__(self, source: Source, device: str, dtype: str, threads: int, worker: int = 1) -> None:
        import torch

        started = time.monotonic()
        sources.verify(source)
        self.name = source.name
        self.revision = source.revision
        self.pipeline = _load(source, _pick_device(device, worker), threads)
        self.tokenizer = _tokenizer_of(self.pipeline)
        self.layout = _layout_of(self.pipeline)
        self.max_batch_tokens = MAX_BATCH_TOKENS[self.pipeline.device.type]
        self.padding_limits = PADDING_LIMITS[self.pipeline.device.type]
        try:
            self.dimension, cosine = self._verify(source, dtype)
        except torch.OutOfMemoryError as error:
            raise ModelUnusable(f"{source.directory} has no room on {self.pipeline.device}: {error}") from None
        log.info(
            "%s: %d dimensions, at most %s tokens a text, torch %s on %s with %d threads, "
            "cosine to float32 sentence-transformers >= %.6f, ready in %.1f s",
            *(self.name, self.dimension, self.tokenizer.max_length, dtype, self.pipeline.device, threads, cosine),
            time.monotonic() - started,
        )
        if self.pipeline.device.type == "cuda":
            _log_memory(self.pipeline.device, worker)

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of each text, cut at the model's length."""
        return self.tokenizer.encode(texts)

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        """Return float32 of shape (len(batch), dimension)."""
        import torch

        with torch.inference_mode():
            arrays = zip(self.layout.names, self.layout.arrays(batch), strict=True)
            features = {name: torch.from_numpy(array).to(self.pipeline.device) for name, array in arrays}
            output = self.pipeline({**features, "prompt_length": self.tokenizer.prompt_tokens})
            vectors: Vectors = output["sentence_embedding"].float().cpu().numpy()
            return vectors

    def _verify(self, source: Source, dtype: str) -> tuple[int, float]:
        """Compare with ``SentenceTransformer.encode``, take on ``dtype``; return a vector's width and the cosine."""
        import torch

        expected = self.pipeline.encode(PROBES, show_progress_bar=False)
        ours = self.embed(self.tokenize(PROBES))
        if not np.allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()):
            raise ModelUnusable(
                f"{source.directory}: its vectors here differ from SentenceTransformer.encode by up to "
                f"{np.abs(ours - expected).max():.2g}; models with such preprocessing are not supported"
            )
        self.pipeline.to(getattr(torch, dtype))
        return ours.shape[1], float(accuracy.cosines(self.embed(self.tokenize(PROBES)), expected).min())


def _pick_device(device: str, worker: int) -> str:
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


def _load(source: Source, device: str, threads: int) -> "SentenceTransformer":
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    for library in ("sentence_transformers", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(str(source.directory), device=device, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  # damaged files make three libraries raise what they like
        reason = str(error).strip().splitlines()[0]
        raise ModelUnusable(f"{source.directory} cannot be loaded: {type(error).__name__}: {reason}") from None
    return model.eval()


def _layout_of(model: "SentenceTransformer") -> Layout:
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    first = model[0]
    if isinstance(first, StaticEmbedding):
        return Layout("flat")
    if isinstance(first, Transformer):
        return Layout("padded", model.tokenizer.pad_token_id or 0, model.tokenizer.padding_side)
    raise ModelUnusable(f"the first module of the model is {type(first).__name__}, which is not supported")


def _tokenizer_of(model: "SentenceTransformer") -> Tokenizer:
    prompt = model.prompts.get(model.default_prompt_name or "") or ""
    rust = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    if not hasattr(rust, "encode_batch_fast"):
        raise ModelUnusable(f"the tokenizer of the model, {type(rust).__name__}, has no Rust form (tokenizer.json)")
    static = rust is model.tokenizer  # StaticEmbedding: bare tokens, cut as the tokenizer itself says, if at all
    longest = (rust.truncation or {}).get("max_length") if static else model.max_seq_length
    return Tokenizer(
        rust.to_str(),  # a copy: SentenceTransformer sets padding and truncation on its own with each call
        max_length=None if longest == math.inf else longest,
        prompt=prompt,
        special_tokens=not static,
    )
