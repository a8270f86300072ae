"""A model whose vectors are easy to compute by hand."""

from collections.abc import Sequence

import numpy as np

from service.engine.model import PaddingLimits, TokenIds, Vectors

LIMITS = PaddingLimits(ratio=1.25, slack=8)


class FakeModel:
    """One token for each character; a vector is the text's length, first character, last character and 1.

    A batch with the word "poison" raises. ``batches`` lists the texts of each batch.
    """

    name = "fake"
    revision = "c0ffee"
    dimension = 4
    max_length = None
    max_batch_tokens = 100
    padding_limits = LIMITS

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        return [np.array([ord(character) for character in text], np.int32) for text in texts]

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        texts = ["".join(map(chr, token_ids)) for token_ids in batch]
        self.batches.append(texts)
        if any("poison" in text for text in texts):
            raise RuntimeError("the model's secret reason")
        return np.array([vector_of(text) for text in texts], np.float32)

    def free(self) -> None:
        self.freed = True


def vector_of(text: str) -> list[float]:
    return [len(text), *((ord(text[0]), ord(text[-1])) if text else (0, 0)), 1]


def token_ids(*lengths: int) -> list[TokenIds]:
    """Texts of these lengths; texts of equal length are equal."""
    return [np.full(length, length, np.int32) for length in lengths]
