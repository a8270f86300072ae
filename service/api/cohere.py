"""The Cohere dialect: ``POST /v1/embed`` and ``/v2/embed``.

https://docs.cohere.com/reference/embed
"""

import uuid
from typing import Any, ClassVar, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from service.api import contract, faults, outputs, tei
from service.api.choices import Truncate, find_prompt
from service.api.envelope import STATUS, envelope
from service.api.inputs import flatten, naming
from service.api.wire import embed, engine, find_cut, peek, read, reply
from service.engine.model import Embeddings, Reading
from service.engine.options import Options
from service.errors import InvalidInput

routes = Blueprint("cohere", __name__)
refuse = faults.register(routes, STATUS, envelope)

Kind = outputs.Kind | Literal["base64"]


class Part(msgspec.Struct):
    """A part of an input: a text, or an image, which has none."""

    text: str | None = None


class Item(msgspec.Struct):
    """An input in parts."""

    content: list[Part]


class Request(msgspec.Struct):
    """A request for embeddings: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {
        "texts": "; send a list of strings",
        "inputs": '; send a list of {"content": [{"type": "text", "text": "..."}]}',
        "embedding_types": "; send a list of float, int8, uint8, binary, ubinary and base64",
        "output_dimension": "; send a positive integer, or leave it out for all",
        "truncate": "; send NONE, START or END",
    }

    texts: list[str] | None = None
    inputs: list[Item] | None = None
    images: list[Any] | None = None
    model: str | None = None
    input_type: str | None = None
    embedding_types: list[Kind] | None = None
    output_dimension: int | None = None
    truncate: Truncate | None = None

    def items(self) -> tuple[str, list[str]]:
        """Return the member that holds the texts, and the texts.

        Raises:
            InvalidInput: there are none, or images among them.
        """
        if self.images:
            raise InvalidInput("images: this service embeds texts only; send texts", "images")
        if self.texts is not None:
            return "texts", self.texts
        if self.inputs is None:
            raise InvalidInput("texts is missing; send a list of strings", "texts")
        return "inputs", [_join(item, index) for index, item in enumerate(self.inputs)]


class Version(msgspec.Struct):
    """Of Cohere's API."""

    version: Literal["1", "2"]


class Units(msgspec.Struct):
    """The tokens that were read."""

    input_tokens: int


class Meta(msgspec.Struct):
    """What Cohere's clients show beside the vectors."""

    api_version: Version
    billed_units: Units


class Vectors(msgspec.Struct):
    """The vectors, in the order of the texts."""

    id: str
    response_type: Literal["embeddings_floats"]
    embeddings: list[list[float]]
    texts: list[str]
    meta: Meta


class Kinds(msgspec.Struct):
    """The vectors in each type that was asked for; base64 is of little-endian float32."""

    int8: list[list[int]] | UnsetType = UNSET
    uint8: list[list[int]] | UnsetType = UNSET
    binary: list[list[int]] | UnsetType = UNSET
    ubinary: list[list[int]] | UnsetType = UNSET
    base64: list[str] | UnsetType = UNSET
    floats: list[list[float]] | UnsetType = msgspec.field(default=UNSET, name="float")


class TypedVectors(msgspec.Struct):
    """The vectors by their types, each in the order of the texts."""

    id: str
    response_type: Literal["embeddings_by_type"]
    embeddings: Kinds
    texts: list[str]
    meta: Meta


EXAMPLES = {
    "texts": {"model": "embed-v4.0", "texts": ["Hello, world", "你好,世界"], "input_type": "search_document"},
    "types": {"model": "embed-v4.0", "texts": ["Hello, world"], "embedding_types": ["float", "int8", "base64"]},
    "parts": {"inputs": [{"content": [{"type": "text", "text": "Hello, world"}]}], "input_type": "search_query"},
}


@routes.post("/v1/embed")
@contract.view(
    body=Request | tei.Embed,
    answer=Vectors | TypedVectors | list[list[float]],
    examples=EXAMPLES | {"as TEI": {"inputs": ["Hello, world"]}},
    others=[tei.ERRORS],
)
def create_embeddings_v1() -> Response:
    """Embed texts; the answer is a plain list of floats unless types are asked for. TEI has this route too."""
    if peek(tei.Peek).has_texts():
        return faults.take_over(tei.embed, tei.refuse)
    body = read(Request)
    texts, embeddings = ask(body)
    if body.embedding_types:
        return reply(answer("1", texts, embeddings, by_type(embeddings, body.embedding_types)))
    return reply(answer("1", texts, embeddings, list(embeddings.vectors)))


@routes.post("/v2/embed")
@contract.view(body=Request, answer=TypedVectors, examples=EXAMPLES)
def create_embeddings_v2() -> Response:
    """Embed texts; the answer has a list for each type."""
    body = read(Request)
    texts, embeddings = ask(body)
    return reply(answer("2", texts, embeddings, by_type(embeddings, body.embedding_types or ["float"])))


def ask(body: Request) -> tuple[list[str], Embeddings]:
    """Embed what ``body`` asks for; return the texts with their embeddings."""
    loaded = engine(body.model)
    field, texts = body.items()
    cut = find_cut(body.truncate)
    reading = Reading(find_prompt(loaded.model, None, body.input_type), cut.side)
    options = Options(reading, body.output_dimension, refuse_long=cut.refuse)
    inputs = flatten(texts, field)
    with naming([f"{field}[{index}]" for index in range(len(inputs))]):
        return texts, embed(loaded, inputs, options)


def by_type(embeddings: Embeddings, kinds: list[Kind]) -> dict[str, Any]:
    """Return the vectors in each of these types; base64 holds floats."""
    return {
        kind: outputs.encode(embeddings.vectors, "float" if kind == "base64" else kind, base64=kind == "base64")
        for kind in kinds
    }


def answer(version: str, texts: list[str], embeddings: Embeddings, vectors: Any) -> dict[str, Any]:
    """Build the answer of this version of the API."""
    return {
        "id": str(uuid.uuid4()),
        "response_type": "embeddings_by_type" if isinstance(vectors, dict) else "embeddings_floats",
        "embeddings": vectors,
        "texts": texts,
        "meta": {"api_version": {"version": version}, "billed_units": {"input_tokens": embeddings.tokens}},
    }


def _join(item: Item, index: int) -> str:
    """Return the text of an input; Cohere's model reads all its parts as one."""
    texts = [part.text for part in item.content if part.text is not None]
    if not texts or len(texts) < len(item.content):
        raise InvalidInput(f"inputs[{index}] has no text, or an image: this service embeds texts only", "inputs", index)
    return "\n".join(texts)
