"""OpenAI's batch files: a request for embeddings in each line.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.bulk.rows import Row, Stream, objects
from service.errors import split_complaint


class Body(msgspec.Struct):
    """The body of ``POST /v1/embeddings``; other members are ignored."""

    input: str | Annotated[list[str], Meta(min_length=1, max_length=2048)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None


class Line(msgspec.Struct):
    """A request."""

    custom_id: str
    body: Body
    method: Literal["POST"] = "POST"
    url: Literal["/v1/embeddings"] = "/v1/embeddings"


def read(stream: Stream) -> Iterator[Row]:
    """Yield a row for each request: its texts, and what its answer depends on beside them.

    Raises:
        BulkFailed: the file cannot be read to its end.
    """
    for place, found in objects(stream):
        if isinstance(found, str):
            yield Row(None, [{"custom_id": None}], f"{place}: {found}")
            continue
        try:
            line = msgspec.convert(found, Line)
        except msgspec.ValidationError as error:
            member, problem = split_complaint(str(error))
            named = found.get("custom_id")
            kept = {"custom_id": named if isinstance(named, str) else None}
            yield Row(None, [kept], f"{place}: {member}: {problem}" if member else f"{place}: {problem}")
        else:
            body = line.body
            kept = {"custom_id": line.custom_id} | {
                name: getattr(body, name) for name in ("model", "encoding_format", "dimensions")
            }
            yield Row([body.input] if isinstance(body.input, str) else body.input, [kept])
