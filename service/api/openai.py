"""The OpenAI dialect, with what Jina, Voyage, vLLM and Infinity clients add to it.

https://platform.openai.com/docs/api-reference/embeddings
"""

from typing import Any, ClassVar

from flask import Blueprint, Response, current_app

from service.api import contract, faults, outputs
from service.api.answers import EmbeddingList, ModelCard, ModelList
from service.api.choices import Choices
from service.api.envelope import STATUS, envelope
from service.api.inputs import Inputs, find_vocabulary, flatten, translate
from service.api.wire import embed, engine, engines, read, reply
from service.engine.model import Embeddings, Model
from service.errors import ForkedAfterLoad, UnknownModel

routes = Blueprint("openai", __name__)
refuse = faults.register(routes, STATUS, envelope)


class Request(Choices, kw_only=True):
    """A request for embeddings: other members are ignored, null counts as absent."""

    HINTS: ClassVar = Choices.HINTS | {"input": "; send a string, a list of strings, or token ids"}

    input: Inputs


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
    loaded = engine(model)
    inputs = translate(flatten(body.input), loaded.model, find_vocabulary(model))
    options = body.options(loaded.model, current_app.config["TRUNCATE"])
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
