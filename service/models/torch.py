"""The reference backend: a sentence-transformers model on CUDA or the CPU, forward by forward."""

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from service.batching import Tokens, Vectors
from service.errors import ModelUnusable
from service.models.sources import Source
from service.tokenizer import Tokenizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

#: Tokens of a batch: on a CPU a larger one outgrows the caches, a GPU wants to be filled.
BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}

#: Encoded both ways at load: short, long, Chinese, empty.
PROBES = ["a", "The quick brown fox jumps over the lazy dog. " * 40, "今天天气真好,我们去公园散步吧。", ""]


class TorchModel:
    """A sentence-transformers model whose tokenizer and padding are ours and whose forward is its own.

    Loading it compares both ways on a few texts, which also warms it up.

    Args:
        source: where the model is.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: the processes among which the CPU's cores are divided.

    Raises:
        ModelUnusable: the files are not a model, or one whose vectors cannot be reproduced here.
    """

    def __init__(self, source: Source, device: str, workers: int) -> None:
        started = time.monotonic()
        self.name = source.name
        self._model = _load(source, _chosen(device), threads=max(1, len(os.sched_getaffinity(0)) // workers))
        self._tokenizer = _tokenizer_of(self._model)
        self._features = _features_of(self._model, self._tokenizer.prompt_tokens)
        self.batch_tokens = BATCH_TOKENS[self._model.device.type]
        self.dimension = self._verified(source)
        log.info(
            "%s: %d dimensions, at most %s tokens a text, torch float32 on %s, ready in %.1f s",
            *(self.name, self.dimension, self._model.max_seq_length, self._model.device, time.monotonic() - started),
        )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the token ids of each text, cut at the model's length."""
        return self._tokenizer.encode(texts)

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Return float32 of shape (len(batch), dimension)."""
        import torch

        with torch.inference_mode():
            features = {
                name: torch.from_numpy(value).to(self._model.device) if isinstance(value, np.ndarray) else value
                for name, value in self._features(batch).items()
            }
            vectors: Vectors = self._model(features)["sentence_embedding"].float().cpu().numpy()
            return vectors

    def _verified(self, source: Source) -> int:
        """Compare with ``SentenceTransformer.encode`` and return the dimension of a vector."""
        expected = self._model.encode(PROBES, show_progress_bar=False)
        ours = self.embed(self.tokenize(PROBES))
        if not np.allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()):
            raise ModelUnusable(
                f"{source.directory}: its vectors here differ from SentenceTransformer.encode by up to "
                f"{np.abs(ours - expected).max():.2g}; models with such preprocessing are not supported"
            )
        return int(ours.shape[1])


def _chosen(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelUnusable(f"EMBED_DEVICE={device}: torch {torch.__version__} finds no CUDA device; use auto or cpu")
    return device


def _load(source: Source, device: str, threads: int) -> "SentenceTransformer":
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    for library in ("sentence_transformers", "transformers"):
        logging.getLogger(library).setLevel(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(str(source.directory), device=device, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  # damaged files make three libraries raise what they like
        reason = str(error).strip().splitlines()[0]
        raise ModelUnusable(f"{source.directory} cannot be loaded: {type(error).__name__}: {reason}") from None
    return model.eval()


def _features_of(model: "SentenceTransformer", prompt_tokens: int) -> Callable[[Sequence[Tokens]], dict[str, Any]]:
    """Return what turns a batch of token ids into the input of ``model``'s first module."""
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    first = model[0]
    if isinstance(first, StaticEmbedding):
        return flat
    if isinstance(first, Transformer):
        pad_id, side = model.tokenizer.pad_token_id or 0, model.tokenizer.padding_side
        return lambda batch: {**padded(batch, pad_id, side), "prompt_length": prompt_tokens}
    raise ModelUnusable(f"the first module of the model is {type(first).__name__}, which is not supported")


def padded(batch: Sequence[Tokens], pad_id: int, side: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return ``input_ids`` and ``attention_mask``, int64 of shape (len(batch), longest)."""
    longest = max(map(len, batch))
    ids = np.full((len(batch), longest), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        columns = slice(longest - len(tokens), None) if side == "left" else slice(len(tokens))
        ids[row, columns] = tokens
        mask[row, columns] = 1
    return {"input_ids": ids, "attention_mask": mask}


def flat(batch: Sequence[Tokens]) -> dict[str, npt.NDArray[np.int64]]:
    """Return ``input_ids`` end to end and the ``offsets`` where each text begins, int64, as EmbeddingBag takes them."""
    lengths = [len(tokens) for tokens in batch]
    return {
        "input_ids": np.fromiter((token for tokens in batch for token in tokens), np.int64, sum(lengths)),
        "offsets": np.cumsum([0, *lengths[:-1]], dtype=np.int64),
    }


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
