"""Rows of JSONL and CSV, plain or gzip: text, id and kept columns of each, or why there is none."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from service.errors import BulkFailed

#: Of a longer line nothing is kept in memory.
MAX_LINE_BYTES = 32 * 2**20

#: The name of standard input.
STDIN = "-"


#: What a row has to be embedded: a text, or the texts of a request in a batch file; None if it cannot be embedded.
Text = str | list[str] | None


class Row(NamedTuple):
    """A row of the input.

    Args:
        text: what is to be embedded.
        values: its id, if ids were asked for, then its kept columns.
        error: why it cannot be embedded.
    """

    text: Text
    values: Sequence[Any]
    error: str | None = None


class Stream(NamedTuple):
    """An open file: its bytes, decompressed, and the file on the disk below."""

    name: str
    bytes: BinaryIO
    raw: BinaryIO

    def tell(self) -> int:
        """Return how many bytes of the file were read; 0 if it is a pipe."""
        return self.raw.tell() if self.raw.seekable() else 0


def open_stream(path: str) -> Stream:
    """Open a file, gzip if its name ends so, or standard input.

    Raises:
        BulkFailed: it cannot be opened.
    """
    if path == STDIN:
        return Stream("standard input", sys.stdin.buffer, sys.stdin.buffer)
    try:
        raw = Path(path).open("rb")  # noqa: SIM115  # read to its end by those who asked
    except OSError as error:
        raise BulkFailed(f"{path}: {error.strerror}") from None
    return Stream(path, gzip.open(raw) if path.endswith(".gz") else raw, raw)  # type: ignore[arg-type]


def read_jsonl(stream: Stream, columns: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each line that is not blank.

    Args:
        stream: lines of JSON objects.
        columns: the members of an object that are text, id and kept, in this order.

    Raises:
        BulkFailed: the file cannot be read to its end.
    """
    nothing = [None] * (len(columns) - 1)
    for place, found in objects(stream):
        yield Row(None, nothing, f"{place}: {found}") if isinstance(found, str) else _pick(found, columns, place)


def objects(stream: Stream) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield the place of each line that is not blank, and its JSON object, or why it has none.

    Raises:
        BulkFailed: the file cannot be read to its end.
    """
    for number, line in _lines(stream):
        place = f"{stream.name}, row {number}"
        if line is None:
            yield place, f"the line has more than {MAX_LINE_BYTES} bytes"
        elif line.strip():
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield place, f"not JSON: {error}"
            else:
                yield place, found if isinstance(found, dict) else "not a JSON object"


def read_csv(stream: Stream, columns: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each record after the first, which names the columns.

    Raises:
        BulkFailed: the file cannot be read to its end, or a column is missing.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    text = io.TextIOWrapper(stream.bytes, encoding="utf-8-sig", errors="surrogateescape", newline="")
    records = csv.reader(text)
    number = 0
    try:
        header = next(records, [])
        for name in columns:
            if name not in header:
                raise BulkFailed(f"{stream.name} has no column {name!r}; it has {', '.join(header)[:1000] or 'none'}")
        for number, record in enumerate(records, 1):
            if record:
                yield _pick(dict(zip(header, record, strict=False)), columns, f"{stream.name}, row {number}")
    except csv.Error as error:
        raise BulkFailed(f"{stream.name}, row {number + 1}: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BulkFailed(f"{stream.name} cannot be read after row {number}: {error}") from None
    finally:
        text.detach()  # or it would close the file, whose place is asked for


def count(text: Text) -> int:
    """Return the characters of a row."""
    return len(text or "") if not isinstance(text, list) else sum(map(len, text))


def check(text: Any, name: str, place: str) -> str | None:
    """Return why this is not a text, or None if it is one."""
    if text is None:
        return f"{place}: `{name}` is missing or null"
    if not isinstance(text, str):
        return f"{place}: `{name}` is no string"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"{place}: `{name}` is not UTF-8"
    return None


def _pick(found: dict[str, Any], columns: Sequence[str], place: str) -> Row:
    text, *values = map(found.get, columns)
    values = [_mend(value) for value in values]
    error = check(text, columns[0], place)
    return Row(None if error else text, values, error)


def _mend(value: Any) -> Any:
    """Return a value that can be written as UTF-8."""
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="surrogateescape").decode(errors="replace")
    return value


def _lines(stream: Stream) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines and their numbers from 1; None for one that is too long."""
    number = 0
    try:
        for number, line in enumerate(iter(lambda: stream.bytes.readline(MAX_LINE_BYTES), b""), 1):
            if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                yield number, line
            else:
                _skip_line(stream.bytes)
                yield number, None
    except (OSError, EOFError, zlib.error) as error:
        raise BulkFailed(f"{stream.name} cannot be read after row {number}: {error}") from None


def _skip_line(stream: BinaryIO) -> None:
    parts: Iterable[bytes] = iter(lambda: stream.readline(MAX_LINE_BYTES), b"")
    for part in parts:
        if part.endswith(b"\n"):
            return
