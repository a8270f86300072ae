"""A shard: the rows of the input that become one part of the output."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from service.bulk.rows import Text, count
from service.bulk.sources import Chunk

#: Characters of the texts of a shard, beside its rows: memory holds a few shards for each device.
MAX_SHARD_CHARACTERS = 32 * 2**20

#: Rows that are sorted by length together, and their characters.
WINDOW_ROWS = 8192
MAX_WINDOW_CHARACTERS = 8 * 2**20


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """Rows that follow each other.

    Args:
        index: its number, from 0.
        first: the number of its first row in all of the input, from 0.
        texts: None where there is none.
        errors: why, by position.
        columns: the kept columns: MessagePack, or an Arrow stream.
        arrow: whether it is Arrow.
        position: bytes of the input up to its end.
    """

    index: int
    first: int
    texts: list[Text]
    errors: dict[int, str]
    columns: bytes
    arrow: bool
    position: int

    def digest(self) -> bytes:
        """Return 16 bytes that change with its texts, its columns and its place."""
        content = msgspec.msgpack.encode([self.first, self.texts, self.columns])
        return blake2b(content, digest_size=16).digest()


class Window(NamedTuple):
    """The rows of a shard from ``start`` to before ``stop``."""

    start: int
    stop: int


def divide(chunks: Iterable[Chunk], most_rows: int) -> Iterator[Shard]:
    """Yield shards of ``most_rows`` rows, or fewer long ones; the same ones for the same input."""
    pile = Pile()
    for chunk in chunks:
        start = 0
        while start < len(chunk.texts):
            head = chunk.cut(start, start + most_rows - pile.rows)
            if not pile.takes(head):
                yield pile.close()
                continue
            pile.add(head)
            start += len(head.texts)
            if pile.rows == most_rows:
                yield pile.close()
    if pile.rows:
        yield pile.close()


class Pile:
    """Chunks that become a shard."""

    def __init__(self) -> None:
        self._index = self._first = 0
        self._characters = self.rows = 0
        self._chunks: list[Chunk] = []

    def takes(self, chunk: Chunk) -> bool:
        """Tell whether a chunk fits: it is not too large, and its kept columns have the same types."""
        if not self._chunks:
            return True
        fits = self._characters + _count(chunk) <= MAX_SHARD_CHARACTERS
        return fits and _schema(chunk) == _schema(self._chunks[0])

    def add(self, chunk: Chunk) -> None:
        """Take a chunk."""
        self._chunks.append(chunk)
        self._characters += _count(chunk)
        self.rows += len(chunk.texts)

    def close(self) -> Shard:
        """Return the shard and begin the next."""
        shard = _join(self._index, self._first, self._chunks)
        self._index, self._first = self._index + 1, self._first + self.rows
        self._characters = self.rows = 0
        self._chunks = []
        return shard


def windows(texts: list[Text]) -> Iterator[Window]:
    """Divide the rows of a shard."""
    start = characters = 0
    for index, text in enumerate(texts):
        size = count(text)
        if index > start and (index - start == WINDOW_ROWS or characters + size > MAX_WINDOW_CHARACTERS):
            yield Window(start, index)
            start, characters = index, 0
        characters += size
    if start < len(texts):
        yield Window(start, len(texts))


def unpack(shard: Shard) -> Any:
    """Return the kept columns: lists by name, or a ``pyarrow.Table``."""
    if not shard.arrow:
        return msgspec.msgpack.decode(shard.columns)
    from service.bulk import parquet

    return parquet.unpack(shard.columns)


def _count(chunk: Chunk) -> int:
    """Return the characters of its texts."""
    return sum(map(count, chunk.texts))


def _schema(chunk: Chunk) -> Any:
    """Return the types of the kept columns, which are the same in a part; None if they are plain values."""
    return getattr(chunk.columns, "schema", None)


def _join(index: int, first: int, chunks: list[Chunk]) -> Shard:
    texts: list[Text] = []
    errors: dict[int, str] = {}
    for chunk in chunks:
        errors |= {len(texts) + position: error for position, error in chunk.errors.items()}
        texts += chunk.texts
    columns, arrow = _pack([chunk.columns for chunk in chunks])
    return Shard(index, first, texts, errors, columns, arrow, chunks[-1].position)


def _pack(columns: list[Any]) -> tuple[bytes, bool]:
    if isinstance(columns[0], dict):
        merged = {name: [value for each in columns for value in each[name]] for name in columns[0]}
        return msgspec.msgpack.encode(merged), False
    from service.bulk import parquet

    return parquet.pack(columns), True
