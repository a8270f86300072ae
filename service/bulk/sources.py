"""The inputs of a corpus: which files, of which format, and their rows in chunks."""

import glob
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from service.bulk import requests
from service.bulk.rows import STDIN, Row, Text, open_stream, read_csv, read_jsonl
from service.errors import BulkFailed

#: Rows that are read together.
CHUNK_ROWS = 256

#: What the names of files end in, without ``.gz``.
FORMATS = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}


class Chunk(NamedTuple):
    """Some rows of one file.

    Args:
        texts: None where there is none.
        errors: why, by position.
        columns: the values of each column; a ``pyarrow.RecordBatch`` if the file has types of its own.
        position: bytes of all files up to here, an estimate for Parquet.
    """

    texts: list[Text]
    errors: dict[int, str]
    columns: Any
    position: int

    def cut(self, start: int, stop: int) -> "Chunk":
        """Return the rows from ``start`` to before ``stop``."""
        columns = self.columns
        if isinstance(columns, dict):
            columns = {name: values[start:stop] for name, values in columns.items()}
        else:
            columns = columns.slice(start, stop - start)
        errors = {place - start: error for place, error in self.errors.items() if start <= place < stop}
        return Chunk(self.texts[start:stop], errors, columns, self.position)


class Source:
    """The inputs of a run.

    Args:
        paths: files, patterns with ``*``, or ``-`` for standard input.
        text: the column of texts.
        keep: names of columns in the output, and what they are called in the input.
        form: the format of all; None to tell it from the names.

    Raises:
        BulkFailed: a file is missing, or its format is not known.
    """

    def __init__(self, paths: Sequence[str], text: str, keep: dict[str, str], form: str | None = None) -> None:
        self._text = text
        self._keep = keep
        self.paths = _find(paths)
        self._formats = [form or _format_of(path) for path in self.paths]
        self._sizes = [0 if path == STDIN else Path(path).stat().st_size for path in self.paths]
        #: Bytes of all files; 0 if that is not known.
        self.size = 0 if STDIN in self.paths else sum(self._sizes)

    def chunks(self, limit: int | None = None) -> Iterator[Chunk]:
        """Yield all rows, or the first ``limit``.

        Raises:
            BulkFailed: a file cannot be read, or has no such column.
        """
        left = limit
        for chunk in self._all():
            if left is not None:
                yield chunk.cut(0, left)
                left -= len(chunk.texts)
                if left <= 0:
                    return
            else:
                yield chunk

    def _all(self) -> Iterator[Chunk]:
        before = 0
        for path, form, size in zip(self.paths, self._formats, self._sizes, strict=True):
            if form == "parquet":
                from service.bulk import parquet

                chunks = parquet.read(path, self._text, self._keep, CHUNK_ROWS)
            else:
                chunks = self._read_lines(path, form)
            for chunk in chunks:
                yield chunk._replace(position=before + chunk.position)
            before += size

    def _read_lines(self, path: str, form: str) -> Iterator[Chunk]:
        stream = open_stream(path)
        columns = [self._text, *self._keep.values()]
        if form == "openai-batch":
            rows = requests.read(stream)
        else:
            rows = (read_csv if form == "csv" else read_jsonl)(stream, columns)
        with stream.raw:
            while some := list(islice(rows, CHUNK_ROWS)):
                yield self._gather(some, stream.tell())

    def _gather(self, rows: list[Row], position: int) -> Chunk:
        errors = {index: row.error for index, row in enumerate(rows) if row.error}
        columns = {name: [row.values[index] for row in rows] for index, name in enumerate(self._keep)}
        return Chunk([row.text for row in rows], errors, columns, position)


def _find(patterns: Sequence[str]) -> list[str]:
    """Return the files in the order of the patterns, those of one pattern by name."""
    paths: list[str] = []
    for pattern in patterns:
        if pattern == STDIN or Path(pattern).is_file():
            paths.append(pattern)
        elif found := sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()):  # noqa: PTH207  # patterns may be absolute
            paths += found
        else:
            raise BulkFailed(f"{pattern}: there is no such file")
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise BulkFailed(f"{twice} is given twice; name each input once")
    return paths


def _format_of(path: str) -> str:
    form = FORMATS.get(Path(path.removesuffix(".gz")).suffix.lower())
    if path == STDIN:
        return "jsonl"
    if form is None or (form == "parquet" and path.endswith(".gz")):
        raise BulkFailed(f"{path}: the name does not tell the format; say --format jsonl, csv or parquet")
    return form
