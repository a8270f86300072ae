"""The Model protocol: what the engine needs of a model, and the arrays that go in and come out."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

#: The token ids of one text: int32 of shape (tokens,), 4 bytes a token where a tuple of Python ints takes 36.
TokenIds = npt.NDArray[np.int32]

#: Float32 of shape (texts, dimension).
Vectors = npt.NDArray[np.float32]

#: A text, or the ids of a text in the model's own vocabulary, special tokens included, taken as they are.
Input = str | Sequence[int]


class Pair(NamedTuple):
    """A query and a document, which a reranker reads together."""

    query: str
    document: str


#: The end of a text.
Side = Literal["left", "right"]


class Reading(NamedTuple):
    """How texts are read.

    Args:
        prompt: put before every text; None takes the model's default prompt, "" none.
        side: which end of a text that is too long is cut; None takes the model's own.
    """

    prompt: str | None = None
    side: Side | None = None


class Tokenized(NamedTuple):
    """The token ids of each input, and the indices of the inputs that were cut to the model's length."""

    ids: list[TokenIds]
    cut: list[int]


class Token(NamedTuple):
    """A token of a text.

    Args:
        id: its place in the vocabulary.
        text: the piece of the text that it stands for; its own name if the tokenizer added it.
        special: whether the tokenizer added it.
        start: where the piece begins in the text without the prompt, in characters; None outside of the text.
        stop: where it ends.
    """

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


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
    """What an engine made of a list of inputs, in their order.

    Args:
        vectors: float32 of shape (inputs, dimensions).
        token_counts: how many tokens of each input the model read.
        cut: the indices of the inputs that are longer than the model reads.
        timings: the time it took.
        hits: how many of them were known already.
    """

    vectors: Vectors
    token_counts: list[int]
    cut: list[int]
    timings: Timings
    hits: int = 0

    @property
    def tokens(self) -> int:
        """The tokens that the model read."""
        return sum(self.token_counts)


class Model(Protocol):
    """A loaded model. ``service.models`` has the real ones, the tests a fake."""

    name: str
    revision: str | None
    #: 64 hex digits: SHA-256 over the model's files and the dtype it runs in.
    fingerprint: str
    #: "openvino" or "torch".
    backend: str
    #: "float32", "bfloat16" or "float16".
    dtype: str
    #: The smallest cosine to the reference's vectors that was measured before it served.
    cosine: float
    #: "mean", "cls" and so on; "" without a pooling module.
    pooling: str
    dimension: int
    #: The most tokens of a text; None for no limit.
    max_length: int | None
    #: Which end of a longer text is cut, unless a request says otherwise.
    truncation_side: Side
    #: Whether the model's own vectors have length 1: its last module is Normalize, which ``embed`` leaves out.
    normalizes: bool
    #: By name: those that this model can be asked for.
    prompts: Mapping[str, str]
    #: The name of the one that is put before texts unless another is asked for.
    default_prompt: str | None
    max_batch_tokens: int
    padding_limits: PaddingLimits

    def tokenize(self, inputs: Sequence[Input], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        """Return the token ids of each input, cut at the model's length. Many threads call this at once.

        Raises:
            InvalidInput: a token id is not in the vocabulary, and ``index`` says in which input; or the model cannot
                take this prompt.
        """

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        """Return float32 of shape (len(batch), dimension), not normalised. One thread calls this.

        Raises:
            FloatingPointError: a vector is not finite.
            Exception: what else the model raises; ``has_run_out`` tells a lack of memory.
        """

    def pieces(self, text: str, *, special_tokens: bool = True, prompt: str = "") -> list[Token]:
        """Return the tokens of a text, which is not cut."""

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids.

        Raises:
            InvalidInput: one is not in the vocabulary.
        """

    def free(self) -> None:
        """Return memory that is kept for later batches, after one ran out of it. The thread of ``embed`` calls this."""


class RerankModel(Model, Protocol):
    """A loaded model that scores pairs. It embeds a pair as a vector of one number, its score before the activation."""

    @property
    def activation(self) -> Literal["sigmoid", "identity"]:
        """What makes a score of that number; with "sigmoid" it lies between 0 and 1."""

    def tokenize(self, inputs: Sequence[Input | Pair], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        """Return the token ids of each pair, cut at the model's length; a text alone is a document without a query."""
