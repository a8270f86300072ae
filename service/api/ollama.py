"""Ollama's dialect: ``/api/embed`` and what its clients ask before they use it.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import time
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
from flask import Blueprint, Response, current_app

from service.api import contract, faults
from service.api.answers import Complaint
from service.api.envelope import STATUS, complain
from service.api.exchange import current
from service.api.inputs import flatten
from service.api.wire import embed, engine, engines, find_cut, read, reply
from service.engine.model import Embeddings, Input, Model, Reading
from service.engine.options import Options
from service.errors import ForkedAfterLoad, UnknownModel

routes = Blueprint("ollama", __name__)
refuse = faults.register(routes, STATUS, complain)
contract.errors(routes, STATUS, Complaint)

#: The release of Ollama whose API this is; some clients refuse an older one.
VERSION = "0.33.0"

NANOSECONDS = 10**9


class Texts(msgspec.Struct):
    """The body of ``/api/embed``; other members, such as ``keep_alive``, are ignored."""

    HINTS: ClassVar = {"input": "; send a string or a list of strings"}

    input: str | list[str] = []
    model: str | None = None
    truncate: bool | None = None
    dimensions: int | None = None


class Prompt(msgspec.Struct):
    """The body of ``/api/embeddings``, the older route."""

    prompt: str = ""
    model: str | None = None


class Name(msgspec.Struct):
    """The body of ``/api/show``."""

    model: str | None = None
    name: str | None = None


class Vectors(msgspec.Struct):
    """The vectors, of length 1, in the order of the texts; durations are in nanoseconds."""

    model: str | None
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class Vector(msgspec.Struct):
    """The vector, as long as the model makes it."""

    embedding: list[float]


class Format(msgspec.Struct):
    """How a model runs."""

    format: str
    family: str
    quantization_level: str


class ModelCard(msgspec.Struct):
    """A model; ``digest`` is its fingerprint."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: Format


class ModelList(msgspec.Struct):
    """The models that are served."""

    models: list[ModelCard]


class ModelDetails(ModelCard):
    """A model, and the sizes of what it takes and gives."""

    capabilities: list[str]
    model_info: dict[str, str | int | None]


class Version(msgspec.Struct):
    """The release of Ollama whose API this is."""

    version: str


@routes.post("/api/embed")
@contract.view(
    body=Texts,
    answer=Vectors,
    examples={
        "texts": {"model": "all-minilm", "input": ["Hello, world", "你好,世界"]},
        "none": {"model": "all-minilm"},
    },
)
def create_embeddings() -> Response:
    """Embed texts; the vectors have length 1."""
    body = read(Texts)
    embeddings = _ask(flatten(body.input) if body.input else [], body, normalize=True)
    spent = {"total_duration": _elapsed(), "load_duration": 0, "prompt_eval_count": embeddings.tokens}
    return reply({"model": body.model, "embeddings": list(embeddings.vectors), **spent})


@routes.post("/api/embeddings")
@contract.view(body=Prompt, answer=Vector, examples={"a text": {"model": "all-minilm", "prompt": "Hello, world"}})
def create_embedding() -> Response:
    """Embed one text, as long as the model makes its vector; no text gives none."""
    body = read(Prompt)
    texts: list[Input] = [body.prompt] if body.prompt else []
    embeddings = _ask(texts, Texts(model=body.model), normalize=False)
    return reply({"embedding": next(iter(embeddings.vectors), [])})


@routes.get("/api/tags")
@routes.get("/api/ps")
@contract.view(answer=ModelList, raises=[ForkedAfterLoad])
def list_models() -> Response:
    """List the models, all of which are loaded."""
    return reply({"models": [_describe(name, each.model) for name, each in engines().by_name.items()]})


@routes.post("/api/show")
@contract.view(
    body=Name,
    answer=ModelDetails,
    examples={"a model": {"model": "all-minilm"}},
    raises=[*contract.READING, UnknownModel],
)
def show_model() -> Response:
    """Describe a model."""
    body = read(Name)
    model = engine(_name(body.model or body.name)).model
    sizes = {"general.architecture": "embedding", "embedding.embedding_length": model.dimension}
    limit = {"embedding.context_length": model.max_length}
    return reply(_describe(model.name, model) | {"capabilities": ["embedding"], "model_info": sizes | limit})


@routes.get("/api/version")
@contract.view(answer=Version)
def show_version() -> Response:
    """Name the release of Ollama whose API this is."""
    return reply({"version": VERSION})


def _ask(inputs: list[Input], body: Texts, *, normalize: bool) -> Embeddings:
    cut = find_cut(body.truncate)
    options = Options(Reading(side=cut.side), body.dimensions, normalize, cut.refuse)
    return embed(engine(_name(body.model)), inputs, options)


def _name(model: str | None) -> str | None:
    """Return a model's name without the tag that Ollama's clients add to one that has none."""
    return model.removesuffix(":latest") if model else None


def _elapsed() -> int:
    return int((time.monotonic() - current().started) * NANOSECONDS)


def _describe(name: str, model: Model) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": datetime.fromtimestamp(current_app.config["STARTED"], UTC).isoformat(),
        "size": 0,
        "digest": model.fingerprint,
        "details": {"format": model.backend, "family": "embedding", "quantization_level": model.dtype},
    }
