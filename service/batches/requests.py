"""The requests of a batch: what is wrong with a file before any of it is embedded, in OpenAI's codes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from service.batches.batch import Mistake
from service.bulk.rows import objects, open_stream

#: OpenAI's limits of a batch of embeddings.
MAX_REQUESTS = 50_000
MAX_INPUTS = 50_000

#: The name of a model is kept in the record of its batch.
MAX_MODEL_CHARACTERS = 256

#: Further mistakes help nobody.
MAX_MISTAKES = 100


class Head(msgspec.Struct):
    """What a request is, beside its body."""

    custom_id: str
    url: str
    method: Literal["POST"]


class Checked(NamedTuple):
    """A file that was read: how many requests it has, the model that they name, and its mistakes."""

    total: int
    model: str | None
    mistakes: list[Mistake]


def check(path: Path) -> Checked:
    """Read the requests of a file; stop at the hundredth mistake.

    Raises:
        BulkFailed: the file cannot be read.
    """
    reader = Reader()
    stream = open_stream(str(path))
    with stream.raw:
        for place, found in objects(stream):
            reader.take(int(place.rpartition(" ")[2]), found)
            if len(reader.mistakes) >= MAX_MISTAKES:
                break
    if not reader.total:
        reader.mistakes.append(Mistake("empty_file", "the file has no requests"))
    return Checked(reader.total, reader.model, reader.mistakes)


class Reader:
    """Takes one request after the other."""

    def __init__(self) -> None:
        self.total = 0
        self.model: str | None = None
        self.mistakes: list[Mistake] = []
        self._inputs = 0
        self._ids: set[str] = set()

    def take(self, line: int, found: dict[str, Any] | str) -> None:
        """Check a line: a JSON object, or why it is none."""
        self.total += 1
        self.mistakes += [Mistake(code, message, line, param) for code, message, param in self._problems(found)]
        if self.total == MAX_REQUESTS + 1:
            self.mistakes.append(Mistake("too_many_tasks", f"the file has more than {MAX_REQUESTS} requests", line))

    def _problems(self, found: dict[str, Any] | str) -> Iterator[tuple[str, str, str | None]]:
        if isinstance(found, str):
            yield "invalid_json_line", found, None
            return
        try:
            head = msgspec.convert(found, Head)
        except msgspec.ValidationError as error:
            yield "invalid_request", str(error), None
            return
        if head.url != "/v1/embeddings":
            yield "url_mismatch", f"{head.url[:60]!r}: batches are for /v1/embeddings here", "url"
        if head.custom_id in self._ids:
            yield "duplicate_custom_id", f"{head.custom_id[:60]!r} is the id of an earlier request too", "custom_id"
        self._ids.add(head.custom_id)
        if isinstance(body := found.get("body"), dict):
            yield from self._problems_of(body)

    def _problems_of(self, body: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
        model, inputs = body.get("model"), body.get("input")
        if isinstance(model, str):
            model = model[:MAX_MODEL_CHARACTERS]
            self.model = model if self.model is None else self.model
            if model != self.model:
                yield "model_mismatch", f"{model[:60]!r}: the requests before name {self.model[:60]!r}", "body.model"
        before = self._inputs
        self._inputs += len(inputs) if isinstance(inputs, list) else 1
        if before <= MAX_INPUTS < self._inputs:
            yield "too_many_tasks", f"the requests have more than {MAX_INPUTS} inputs", "body.input"
