"""OpenAI's batch files: a request for embeddings in each line.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from service.api.choices import Choices, Text
from service.bulk.rows import Row, Stream, objects
from service.errors import split_complaint

#: Whose token ids they are, EMBED_TOKEN_IDS and the aliases say, which the route alone follows.
HINT = "; a batch takes texts alone: send token ids to POST /v1/embeddings"


class Body(Choices, kw_only=True):
    """The body of ``POST /v1/embeddings`` without token ids; other members are ignored, as there."""

    input: str | Annotated[list[str | Text], Meta(min_length=1, max_length=2048)]

    def texts(self) -> list[str]:
        """Return what is to be embedded."""
        given = [self.input] if isinstance(self.input, str) else self.input
        return [each.text if isinstance(each, Text) else each for each in given]

    def choices(self) -> dict[str, Any]:
        """Return what the answer depends on beside the texts."""
        found = {name: getattr(self, name) for name in Choices.__struct_fields__}
        return {name: value for name, value in found.items() if value is not None}


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
            yield _refuse(place, None, found)
            continue
        try:
            line = msgspec.convert(found, Line)
        except msgspec.ValidationError as error:
            named = found.get("custom_id")
            yield _refuse(place, named if isinstance(named, str) else None, *_explain(str(error)))
        else:
            yield Row(line.body.texts(), [{"custom_id": line.custom_id} | line.body.choices()])


def _refuse(place: str, custom_id: str | None, message: str, member: str | None = None) -> Row:
    return Row(None, [{"custom_id": custom_id, "refused": [message, member]}], f"{place}: {message}")


def _explain(complaint: str) -> tuple[str, str | None]:
    """Return what is wrong with a request as the route says it, and the member of the body to mend."""
    place, problem = split_complaint(complaint)
    inside = place.removeprefix("body").removeprefix(".")
    member = inside.partition("[")[0] or None
    if problem.endswith(("got `int`", "got `array`")) and inside.startswith("input["):
        problem += HINT
    where = inside or ("the body" if place else "the line")
    return f"{where}: {problem}{Choices.HINTS.get(member or '', '')}", member
