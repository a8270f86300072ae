"""The Model protocol: what the engine needs of a model, and the arrays that go in and come out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

#: The token ids of one text: int32 of shape (tokens,), 4 bytes a token where a tuple of Python ints takes 36.
TokenIds = npt.NDArray[np.int32]

#: Float32 of shape (texts, dimension).
Vectors = npt.NDArray[np.float32]


class PaddingLimits(NamedTuple):
    """How far the lengths in one batch may differ: the longest has at most ``ratio`` times the tokens of the shortest,
    or at most ``slack`` tokens more.
    """

    ratio: float
    slack: int

    def allow(self, shortest: int, longest: int) -> bool:
        """Tell whether texts of these lengths, in tokens, may share a batch."""
        return longest <= max(shortest * self.ratio, shortest + self.slack)


class Timings(NamedTuple):
    """The seconds of a request: being tokenised, waiting for its first batch, and from there to its last vector."""

    tokenize: float
    queue: float
    forward: float


class Embeddings(NamedTuple):
    """Vectors in the order of the texts, the number of tokens that the model read, and the time it took."""

    vectors: Vectors
    tokens: int
    timings: Timings


class Model(Protocol):
    """A loaded model. ``service.models`` has the real ones, the tests a fake."""

    name: str
    revision: str | None
    dimension: int
    #: The most tokens of a text; None for no limit.
    max_length: int | None
    max_batch_tokens: int
    padding_limits: PaddingLimits

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of each text. Many threads call this at once."""

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        """Return float32 of shape (len(batch), dimension). One thread calls this.

        Raises:
            FloatingPointError: a vector is not finite.
            Exception: what else the model raises; ``has_run_out`` tells a lack of memory.
        """

    def free(self) -> None:
        """Return memory that is kept for later batches, after one ran out of it. The thread of ``embed`` calls this."""
