"""Parquet in and out: the only module that imports pyarrow, which is imported only where a file is Parquet."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from service.bulk.disk import aside, publish
from service.bulk.parts import Results
from service.bulk.rows import check
from service.bulk.sources import Chunk
from service.errors import BulkFailed

#: The key of a part's footer.
KEY = b"uwsgi-embeddings"


def require() -> Any:
    """Import pyarrow with its Parquet.

    Raises:
        BulkFailed: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        raise BulkFailed(
            "Parquet needs pyarrow, which is not installed: install the extra `bulk`, or take --write jsonl"
        ) from None
    return pa


def read(path: str, text: str, keep: Mapping[str, str], most_rows: int) -> Iterator[Chunk]:
    """Yield the rows of a file.

    Raises:
        BulkFailed: it is not Parquet, is damaged, or has no such column.
    """
    pa = require()
    number = 0
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
            _check_columns(path, file.schema_arrow, [text, *keep.values()])
            size, rows = Path(path).stat().st_size, max(1, file.metadata.num_rows)
            for batch in file.iter_batches(most_rows, columns=list({text, *keep.values()})):
                texts = batch.column(text).to_pylist()
                places = (f"{path}, row {number + index}" for index in range(1, len(texts) + 1))
                found = [check(each, text, place) for each, place in zip(texts, places, strict=True)]
                errors = {index: error for index, error in enumerate(found) if error}
                number += len(texts)
                columns = pa.RecordBatch.from_arrays([batch.column(name) for name in keep.values()], list(keep))
                good = [None if index in errors else each for index, each in enumerate(texts)]
                yield Chunk(good, errors, columns, size * number // rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BulkFailed(f"{path} cannot be read after row {number}: {error}") from None


def pack(batches: Sequence[Any]) -> bytes:
    """Return record batches as an Arrow stream."""
    pa = require()
    sink = pa.BufferOutputStream()
    table = pa.Table.from_batches(batches).combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def unpack(columns: bytes) -> Any:
    """Return an Arrow stream as a table."""
    with require().ipc.open_stream(columns) as stream:
        return stream.read_all()


def count_failed(path: Path) -> int:
    """Return how many rows of a part have no vector, as its footer says."""
    return int(json.loads(require().parquet.read_metadata(path).metadata[KEY])["failed"])


class ParquetPart:
    """A part in Parquet: id, kept columns, vector, tokens, truncated, error.

    Kept columns of a Parquet input have the types that they had; others are strings, JSON where they are not text, so
    that all parts have one schema.
    """

    def __init__(self, directory: Path, name: str, metadata: Mapping[str, Any]) -> None:
        self._pa = require()
        self._path = directory / name
        self._metadata = dict(metadata)
        self._writer: Any = None
        self._rows = self._failed = 0

    def write(self, results: Results) -> None:
        """Append rows, as a row group."""
        table = self._build(results)
        if self._writer is None:
            plain = [name for name in table.column_names if name != "vector"]
            self._writer = self._pa.parquet.ParquetWriter(
                aside(self._path), table.schema, use_dictionary=plain, compression=dict.fromkeys(plain, "zstd")
            )
        self._writer.write_table(table)
        self._rows += table.num_rows
        self._failed += results.failed

    def finish(self) -> None:
        """Bring it to the disk and give it its name."""
        footer = self._metadata | {"rows": self._rows, "failed": self._failed}
        self._writer.add_key_value_metadata({KEY.decode(): json.dumps(footer)})
        self._writer.close()
        file = os.open(aside(self._path), os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        publish(self._path)

    def _build(self, results: Results) -> Any:
        pa = self._pa
        columns = self._arrays(results.columns)
        if "id" not in columns:
            first = results.first
            columns = {"id": pa.array(np.arange(first, first + len(results.errors)))} | columns
        flat, width = pa.array(results.vectors.ravel()), results.vectors.shape[1]
        missing = pa.array([error is not None for error in results.errors])
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, width, mask=missing)
        columns["tokens"] = pa.array(results.tokens)
        columns["truncated"] = pa.array(results.truncated)
        columns["error"] = pa.array(results.errors, pa.string())
        return pa.table(columns)

    def _arrays(self, columns: Any) -> dict[str, Any]:
        if isinstance(columns, dict):
            texts = self._pa.string()
            return {name: self._pa.array(map(_as_text, values), texts) for name, values in columns.items()}
        return dict(zip(columns.column_names, columns.columns, strict=True))


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check_columns(path: str, schema: Any, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in schema.names:
            raise BulkFailed(f"{path} has no column {name!r}; it has {', '.join(schema.names)[:1000]}")
