"""A window: rows whose texts are tokenised, sorted by length and computed together, equal ones once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.api import outputs
from service.bulk.parts import Results
from service.bulk.rows import Text
from service.bulk.shards import Shard, Window
from service.engine.engine import Engine
from service.engine.model import Model, Reading, TokenIds, Vectors
from service.engine.options import Options
from service.engine.request import Request
from service.errors import ModelFailed


class Tokenized(NamedTuple):
    """The different texts of a window.

    Args:
        window: the rows.
        ids: of each text.
        cut: the texts that are longer than the model reads.
        rows: the row of each text of the input, equal ones included, counted from the window's first.
        text_of: which text it is.
    """

    window: Window
    ids: list[TokenIds]
    cut: list[int]
    rows: npt.NDArray[np.int64]
    text_of: npt.NDArray[np.int64]


class Embedded(NamedTuple):
    """Vectors of a window, float32 of shape (texts, dimensions), and the texts on which the model failed."""

    vectors: Vectors
    failed: list[int]


def tokenize(model: Model, texts: list[Text], window: Window, readings: Sequence[Reading]) -> Tokenized:
    """Tokenise the different texts of a window; ``readings`` says for each row of the shard how it is read."""
    places: dict[tuple[Reading, str], int] = {}
    rows, text_of = [], []
    mine = slice(*window)
    for row, (text, reading) in enumerate(zip(texts[mine], readings[mine], strict=True)):
        for each in text if isinstance(text, list) else [text]:
            if each is not None:
                rows.append(row)
                text_of.append(places.setdefault((reading, each), len(places)))
    ids, cut = _tokenize(model, list(places))
    return Tokenized(window, ids, cut, np.array(rows, np.int64), np.array(text_of, np.int64))


def _tokenize(model: Model, texts: list[tuple[Reading, str]]) -> tuple[list[TokenIds], list[int]]:
    """Tokenise texts, those that are read in one way together; return the ids of each, and which were cut."""
    ids: dict[int, TokenIds] = {}
    cut: list[int] = []
    for reading in dict.fromkeys(reading for reading, _ in texts):
        mine = [index for index, (each, _) in enumerate(texts) if each == reading]
        tokenized = model.tokenize([texts[index][1] for index in mine], reading)
        ids |= zip(mine, tokenized.ids, strict=True)
        cut += [mine[index] for index in tokenized.cut]
    return [ids[index] for index in range(len(texts))], cut


def embed(engine: Engine, request: Request, tokenized: Tokenized, options: Options) -> Embedded:
    """Wait for the vectors of a window; find the texts on which the model fails by halving."""
    try:
        return Embedded(engine.collect(request, options), [])
    except ModelFailed:
        width = options.dimensions or engine.model.dimension
        vectors = np.zeros((len(tokenized.ids), width), np.float32)
        return Embedded(vectors, _halve(engine, tokenized.ids, 0, vectors, options))


def finish(shard: Shard, columns: Any, tokenized: Tokenized, embedded: Embedded, kind: str) -> Results:
    """Give each row of a window its vector, or the reason why it has none.

    Args:
        shard: the rows.
        columns: its kept columns, unpacked.
        tokenized: the window.
        embedded: its vectors.
        kind: float32, float16, int8, binary, or openai-batch for the answers of requests.
    """
    window, rows, text_of = tokenized.window, tokenized.rows, tokenized.text_of
    first = shard.first + window.start
    errors = [shard.errors.get(row) for row in range(window.start, window.stop)]
    for row in rows[np.isin(text_of, embedded.failed)].tolist():
        errors[row] = f"row {first + row + 1} of the input: the model failed on its text"
    vectors = _convert(embedded.vectors, kind)[text_of]
    tokens = np.array([len(ids) for ids in tokenized.ids], np.int32)[text_of]
    truncated = np.isin(text_of, tokenized.cut)
    results = Results(first, _cut(columns, window), vectors, tokens, truncated, errors, rows)
    return results if kind == "openai-batch" else _spread(results)


def _spread(results: Results) -> Results:
    """Put the vector of each text into its row; rows without a text get zeros."""
    rows, count = results.text_rows, len(results.errors)
    if len(results.vectors) == count:
        return results._replace(text_rows=None)
    vectors = np.zeros((count, results.vectors.shape[1]), results.vectors.dtype)
    tokens, truncated = np.zeros(count, np.int32), np.zeros(count, np.bool_)
    vectors[rows], tokens[rows], truncated[rows] = results.vectors, results.tokens, results.truncated
    return results._replace(vectors=vectors, tokens=tokens, truncated=truncated, text_rows=None)


def _halve(engine: Engine, ids: list[TokenIds], first: int, vectors: Vectors, options: Options) -> list[int]:
    """Fill ``vectors`` from ``first`` on; return the places on which the model fails alone."""
    if len(ids) == 1:
        return [first]
    middle = len(ids) // 2
    failed = []
    for start, some in ((0, ids[:middle]), (middle, ids[middle:])):
        try:
            vectors[first + start : first + start + len(some)] = engine.collect(engine.submit(some), options)
        except ModelFailed:
            failed += _halve(engine, some, first + start, vectors, options)
    return failed


def _convert(vectors: Vectors, kind: str) -> npt.NDArray[Any]:
    if kind == "float16":
        return vectors.astype(np.float16)
    return outputs.quantize(vectors, {"int8": "int8", "binary": "binary"}.get(kind, "float"))  # type: ignore[arg-type]


def _cut(columns: Any, window: Window) -> Any:
    if isinstance(columns, dict):
        return {name: values[window.start : window.stop] for name, values in columns.items()}
    return columns.slice(window.start, window.stop - window.start)
