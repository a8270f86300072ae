"""The OpenAI dialect, with what Jina, Voyage, vLLM and Infinity clients add to it.

https://platform.openai.com/docs/api-reference/embeddings
"""

from typing import Any, ClassVar, Literal

import msgspec
from flask import Blueprint, Response, current_app

from service.api import contract, faults, outputs
from service.api.answers import EmbeddingList, ModelCard, ModelList
from service.api.choices import Truncate, decide_cut, find_prompt
from service.api.envelope import STATUS, envelope
from service.api.inputs import Inputs, find_vocabulary, flatten, translate
from service.api.wire import embed, engine, engines, read, reply
from service.engine.model import Embeddings, Model, Reading, Side
from service.engine.options import Options
from service.errors import ForkedAfterLoad, InvalidInput, UnknownModel

routes = Blueprint("openai", __name__)
refuse = faults.register(routes, STATUS, envelope)


class Request(msgspec.Struct):
    """A request for embeddings: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {
        "input": "; send a string, a list of strings, or token ids",
        "encoding_format": "; send float or base64",
        "dimensions": "; send a positive integer, or leave it out for all",
        "output_dimension": "; send a positive integer, or leave it out for all",
        "modality": "; this service embeds texts only",
    }

    input: Inputs
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    output_dimension: int | None = None
    output_dtype: outputs.Kind | None = None
    embedding_type: outputs.Kind | Literal["base64"] | None = None
    embed_dtype: Literal["float32", "float16"] | None = None
    prompt_name: str | None = None
    input_type: str | None = None
    task: str | None = None
    late_chunking: bool | None = None
    modality: Literal["text"] | None = None
    truncate: Truncate | None = None
    truncation: bool | None = None
    truncation_direction: Side | None = None
    normalized: bool | None = None

    def output(self) -> tuple[outputs.Kind, bool, bool]:
        """Return the kind of numbers, whether they come in base64, and whether those are of half precision."""
        kind = self.output_dtype or self.embedding_type or "float"
        base64 = "base64" in {self.encoding_format, self.embedding_type}
        return "float" if kind == "base64" else kind, base64, self.embed_dtype == "float16"


@routes.post("/v1/embeddings")
@routes.post("/embeddings")
@routes.post("/v1/engines/<path:model>/embeddings")
@routes.post("/openai/deployments/<path:model>/embeddings")
@contract.view(
    body=Request,
    answer=EmbeddingList,
    examples={
        "a text": {"input": "Hello, world", "model": "all-MiniLM-L6-v2"},
        "texts": {"input": ["Hello, world", "你好,世界"]},
        "base64": {"input": "Hello, world", "encoding_format": "base64"},
        "fewer dimensions": {"input": "Hello, world", "dimensions": 4},
        "bits": {"input": "Hello, world", "output_dtype": "ubinary"},
    },
    path={"model": "all-MiniLM-L6-v2"},
)
def create_embeddings(model: str | None = None) -> Response:
    """Embed texts or token ids."""
    body = read(Request)
    embeddings = ask(body, body.model or model)
    return reply(embeddings_list(embeddings, body, body.model or model))


@routes.get("/v1/models")
@contract.view(answer=ModelList, raises=[ForkedAfterLoad])
def list_models() -> Response:
    """List the models and their aliases."""
    data = [describe(name, each.model) for name, each in engines().by_name.items()]
    return reply({"object": "list", "data": data})


@routes.get("/v1/models/<path:name>")
@routes.get("/models/<path:name>")
@contract.view(answer=ModelCard, path={"name": "all-MiniLM-L6-v2"}, raises=[UnknownModel, ForkedAfterLoad])
def retrieve_model(name: str) -> Response:
    """Describe the model of this name or alias."""
    return reply(describe(name, engines().get(name).model))


def ask(body: Request, model: str | None) -> Embeddings:
    """Embed what ``body`` asks for."""
    if body.late_chunking:
        raise InvalidInput(
            "late_chunking: each text is embedded on its own here; send false, or leave it out", "late_chunking"
        )
    loaded = engine(model)
    inputs = translate(flatten(body.input), loaded.model, find_vocabulary(model))
    prompt = find_prompt(loaded.model, body.prompt_name, body.input_type or body.task)
    cut = decide_cut(body.truncation if body.truncate is None else body.truncate, body.truncation_direction)
    dimensions = body.dimensions or body.output_dimension
    options = Options(Reading(prompt, cut.side), dimensions, body.normalized, cut.refuse)
    return embed(loaded, inputs, options)


def embeddings_list(embeddings: Embeddings, body: Request, model: str | None) -> dict[str, Any]:
    """Build the answer; it echoes the name that was asked for."""
    rows = outputs.encode(embeddings.vectors, *body.output())
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "embedding": row, "index": i} for i, row in enumerate(rows)],
        "model": model or engine().model.name,
        "usage": {"prompt_tokens": embeddings.tokens, "total_tokens": embeddings.tokens},
    }
    return answer | ({"truncated": embeddings.cut} if embeddings.cut else {})


def describe(name: str, model: Model) -> dict[str, Any]:
    """Return OpenAI's members of a model, called ``name``, and what a client may want to know before it embeds."""
    return {
        "id": name,
        "root": model.name,
        "object": "model",
        "created": current_app.config["STARTED"],
        "owned_by": "sentence-transformers",
        "model_type": "embedding",
        "revision": model.revision,
        "fingerprint": model.fingerprint,
        "dtype": model.dtype,
        "dimensions": model.dimension,
        "max_input_tokens": model.max_length,
        "prompts": dict(model.prompts),
        "default_prompt": model.default_prompt,
    }
