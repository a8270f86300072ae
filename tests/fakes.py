"""A model whose vectors are easy to compute by hand."""

import sys
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from service.engine.model import Input, PaddingLimits, Pair, Reading, Side, Token, TokenIds, Tokenized, Vectors
from service.errors import InvalidInput

LIMITS = PaddingLimits(ratio=1.25, slack=8)


class FakeModel:
    """One token for each character; a vector is the text's length, first character, last character and 1.

    A batch with the word "poison" raises. ``batches`` lists the texts of each batch.
    """

    name = "fake"
    revision = "c0ffee"
    fingerprint = "fa" * 32
    backend = "torch"
    dtype = "float32"
    cosine = 0.9999
    pooling = "mean"
    dimension = 4
    max_length: int | None = None
    truncation_side: Side = "right"
    normalizes = False
    prompts: Mapping[str, str] = MappingProxyType({"query": "query: "})
    default_prompt: str | None = None
    max_batch_tokens = 100
    padding_limits = LIMITS

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def tokenize(self, inputs: Sequence[Input], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        default = self.prompts[self.default_prompt] if self.default_prompt else ""
        prompt = default if reading.prompt is None else reading.prompt
        ids = [
            [ord(character) for character in prompt + each] if isinstance(each, str) else check(each, index)
            for index, each in enumerate(inputs)
        ]
        length = self.max_length or max(map(len, ids), default=0)
        cut = [index for index, each in enumerate(ids) if len(each) > length]
        return Tokenized([np.array(shorten(each, length, reading.side), np.int32) for each in ids], cut)

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        texts = ["".join(map(chr, token_ids)) for token_ids in batch]
        self.batches.append(texts)
        if any("poison" in text for text in texts):
            raise RuntimeError("the model's secret reason")
        return np.array([vector_of(text) for text in texts], np.float32)

    def pieces(self, text: str, *, special_tokens: bool = True, prompt: str = "") -> list[Token]:
        before = [Token(ord(character), character, special=False, start=None, stop=None) for character in prompt]
        tokens = [Token(ord(text[i]), text[i], special=False, start=i, stop=i + 1) for i in range(len(text))]
        end = Token(0, "[END]", special=True, start=None, stop=None)
        return [*before, *tokens, *([end] if special_tokens else [])]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return "".join(chr(each) for each in check(ids) if each or not skip_special_tokens)

    def free(self) -> None:
        self.freed = True


class StuckModel(FakeModel):
    """Computes nothing before it is ``released``; ``started`` tells that a batch waits for that."""

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.released = threading.Event()

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        self.started.set()
        self.released.wait(300)
        return super().embed(batch)


class FakeReranker(FakeModel):
    """Scores a document by how many characters it shares with the query, less two; a batch lists the pairs."""

    name = "fake-reranker"
    fingerprint = "5c" * 32
    dimension = 1
    activation = "sigmoid"

    def tokenize(self, inputs: Sequence[Input | Pair], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        texts: list[Input] = [f"{each[0]}|{each[1]}" if isinstance(each, Pair) else f"|{each}" for each in inputs]
        return super().tokenize(texts, reading._replace(prompt=""))

    def embed(self, batch: Sequence[TokenIds]) -> Vectors:
        super().embed(batch)
        pairs = [text.partition("|") for text in self.batches[-1]]
        return np.array([[len({*query} & {*document}) - 2] for query, _, document in pairs], np.float32)


def check(ids: Sequence[int], index: int | None = None) -> list[int]:
    for each in ids:
        if not 0 <= each <= sys.maxunicode:
            raise InvalidInput(f"{each} is not a token id of fake; send 0 to {sys.maxunicode}", index=index)
    return list(ids)


def shorten(ids: list[int], length: int, side: Side | None) -> list[int]:
    return ids[max(0, len(ids) - length) :] if side == "left" else ids[:length]


def vector_of(text: str) -> list[float]:
    return [len(text), *((ord(text[0]), ord(text[-1])) if text else (0, 0)), 1]


def token_ids(*lengths: int) -> list[TokenIds]:
    """Texts of these lengths; texts of equal length are equal."""
    return [np.full(length, length, np.int32) for length in lengths]
