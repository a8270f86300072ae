"""Parts: the files of the output, each written aside, then renamed. The name of a part says what it was made of."""

import os
import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from service.bulk.disk import aside, publish
from service.bulk.shards import Shard

#: ``part-00012-3f9a1c2b7d5e4f60.parquet``.
NAME = re.compile(r"part-(\d{5,})-[0-9a-f]{16}\.(parquet|jsonl)")

#: What a line of JSONL ends in whose row has its vector.
DONE = b'"error":null}\n'


class Results(NamedTuple):
    """Rows of a part.

    Args:
        first: the number of the first row in all of the input.
        columns: lists by name, or a ``pyarrow.Table``.
        vectors: of shape (rows, components); zeros where there is an error.
        tokens: int32 of shape (rows,), how many the model read.
        truncated: bool of shape (rows,).
        errors: None where there is a vector.
        text_rows: None if each row has one vector; else ``vectors``, ``tokens`` and ``truncated`` are of all texts,
            and this tells the row of each.
    """

    first: int
    columns: Any
    vectors: npt.NDArray[Any]
    tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    errors: list[str | None]
    text_rows: npt.NDArray[np.int64] | None = None

    @property
    def failed(self) -> int:
        """How many rows have no vector."""
        return sum(error is not None for error in self.errors)


class Part(Protocol):
    """A part that is being written. Nothing but ``finish`` makes it visible."""

    def write(self, results: Results) -> None:
        """Append rows.

        Raises:
            OSError: the disk is full, say.
        """

    def finish(self) -> None:
        """Bring it to the disk and give it its name."""


class JsonlPart:
    """A part of which each line is a JSON object."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / name
        self._file = aside(self._path).open("wb")

    def write(self, results: Results) -> None:
        """Append rows."""
        columns = results.columns if isinstance(results.columns, dict) else results.columns.to_pydict()
        columns = {"id": range(results.first, results.first + len(results.errors))} | columns
        rows = zip(*columns.values(), results.vectors, results.tokens, results.truncated, results.errors, strict=True)
        names = [*columns, "vector", "tokens", "truncated", "error"]
        for *values, vector, tokens, truncated, error in rows:
            whole = [*values, None if error else vector, int(tokens), bool(truncated), error]
            self._file.write(_dump(dict(zip(names, whole, strict=True))))

    def finish(self) -> None:
        """Bring it to the disk and give it its name."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        publish(self._path)


def name_of(shard: Shard, run_key: bytes, suffix: str) -> str:
    """Return the name of a shard's part: it is there only if the same rows were embedded in the same way."""
    digest = blake2b(run_key + shard.digest(), digest_size=8).hexdigest()
    return f"part-{shard.index:05}-{digest}.{suffix}"


def find(directory: Path) -> dict[int, Path]:
    """Return the finished parts by the index of their shard."""
    names = ((NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return {int(match[1]): path for match, path in names if match}


def clear(directory: Path) -> None:
    """Remove what an earlier run had begun and not finished."""
    remove([*directory.glob(".part-*.tmp"), *directory.glob("._manifest.json.*.tmp")])


def count_failed(path: Path) -> int:
    """Return how many rows of a finished part have no vector."""
    if path.suffix == ".jsonl":
        with path.open("rb") as lines:
            return sum(not line.endswith(DONE) for line in lines)
    from service.bulk import parquet

    return parquet.count_failed(path)


def remove(paths: Iterable[Path]) -> None:
    """Delete parts."""
    for path in paths:
        path.unlink(missing_ok=True)


def _dump(row: dict[str, Any]) -> bytes:
    if isinstance(row["vector"], np.ndarray) and row["vector"].dtype == np.float16:
        row["vector"] = row["vector"].astype(np.float32)
    return orjson.dumps(row, default=_represent, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _represent(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
