"""Vectors as clients want them: lists of numbers or base64, floats or quantised."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from service.engine.model import Vectors

Kind = Literal["float", "int8", "uint8", "binary", "ubinary"]

#: int8 and uint8 cover so many standard deviations of a component, which is 1 / sqrt(dimensions) in a vector of length
#: 1. Of 278 passages with MiniLM, 3, 4, 10 and 20 (the whole range) keep 0.992, 0.991, 0.985 and 0.973 of the top-10;
#: 3 cuts the largest components off.
DEVIATIONS = 4


def encode(vectors: Vectors, kind: Kind = "float", base64: bool = False, half: bool = False) -> Sequence[Any]:  # noqa: FBT001, FBT002  # as Request.output gives them
    """Return a JSON value for each vector.

    Args:
        vectors: float32 of shape (texts, dimensions).
        kind: of the numbers; bits are packed, eight to a number.
        base64: whether the numbers come as little-endian bytes in base64.
        half: whether floats in base64 are float16.
    """
    rows = quantize(vectors, kind)
    if not base64:
        return list(rows)
    if kind == "float":
        rows = rows.astype("<f2" if half else "<f4", copy=False)
    return [b64encode(row.tobytes()).decode() for row in rows]


def quantize(vectors: Vectors, kind: Kind) -> npt.NDArray[Any]:
    """Return float32, int8 or uint8 of shape (texts, dimensions), or (texts, dimensions / 8) of packed bits.

    As sentence-transformers' quantize_embeddings does, with the same ranges for every request instead of those of the
    vectors at hand: https://sbert.net/examples/sentence_transformer/applications/embedding-quantization
    """
    if kind == "float":
        return vectors
    if kind in {"binary", "ubinary"}:
        bits = np.packbits(vectors > 0, axis=1)
        return bits if kind == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    limit = DEVIATIONS / np.sqrt(vectors.shape[1])
    scaled = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    levels: npt.NDArray[np.float32] = np.clip(np.floor((scaled + limit) / (2 * limit / 255)), 0, 255)
    return levels.astype(np.uint8) if kind == "uint8" else (levels - 128).astype(np.int8)
