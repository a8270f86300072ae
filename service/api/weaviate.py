"""What Weaviate's module text2vec-transformers asks: ``/vectors``, ``/meta`` and two probes.

https://github.com/weaviate/t2v-transformers-models
"""

from typing import ClassVar

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults
from service.api.answers import Complaint
from service.api.choices import find_prompt
from service.api.envelope import STATUS, complain
from service.api.inputs import flatten
from service.api.wire import embed, engine, engines, find_cut, read, reply
from service.engine.model import Embeddings, Reading
from service.engine.options import Options
from service.errors import ForkedAfterLoad, InvalidInput

routes = Blueprint("weaviate", __name__)
refuse = faults.register(routes, STATUS, complain)
contract.errors(routes, STATUS, Complaint)


class Config(msgspec.Struct):
    """What the text is for; the pooling that Weaviate names too is the model's own."""

    task_type: str | None = None


class Texts(msgspec.Struct):
    """One text, or several."""

    HINTS: ClassVar = {"text": "; send a string", "texts": "; send a list of strings"}

    text: str | None = None
    texts: list[str] | None = None
    config: Config | None = None


class Vector(msgspec.Struct):
    """The vector of one text."""

    text: str
    vector: list[float]
    dim: int
    dims: int


class Vectors(msgspec.Struct):
    """The vectors of several texts, in their order."""

    vectors: list[list[float]]
    dim: int
    dims: int


class Meta(msgspec.Struct):
    """The model."""

    model: str
    fingerprint: str
    pooling: str
    dimensions: int
    max_input_tokens: int | None


@routes.post("/vectors")
@contract.view(
    body=Texts,
    answer=Vector | Vectors,
    examples={
        "a text": {"text": "Hello, world", "config": {"task_type": "query"}},
        "texts": {"texts": ["Hello, world", "你好,世界"]},
    },
)
def create_vectors() -> Response:
    """Embed one text, or several."""
    body = read(Texts)
    vectors = _ask(body).vectors
    size = {"dim": vectors.shape[1], "dims": vectors.shape[1]}
    if body.texts is not None:
        return reply({"vectors": list(vectors), **size})
    return reply({"text": body.text, "vector": vectors[0], **size})


@routes.get("/meta")
@contract.view(answer=Meta, raises=[ForkedAfterLoad])
def describe() -> Response:
    """Describe the model."""
    model = engine().model
    known = {"pooling": model.pooling, "dimensions": model.dimension, "max_input_tokens": model.max_length}
    return reply({"model": model.name, "fingerprint": model.fingerprint, **known})


@routes.get("/.well-known/live")
@routes.get("/.well-known/ready")
@contract.view(answer=None, raises=[ForkedAfterLoad])
def probe() -> Response:
    """Answer 204 if the model can answer requests."""
    return Response(status=204 if engines().is_ready() else 503)


def _ask(body: Texts) -> Embeddings:
    given = body.texts if body.text is None else body.text
    if given is None:
        raise InvalidInput("send a text or texts", "text")
    texts = flatten(given, "texts")
    loaded, cut = engine(), find_cut()
    prompt = find_prompt(loaded.model, None, body.config.task_type if body.config else None)
    return embed(loaded, texts, Options(Reading(prompt, cut.side), refuse_long=cut.refuse))
