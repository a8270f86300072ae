"""The OpenAI dialect: ``POST /v1/embeddings`` and ``GET /v1/models``."""

from base64 import b64encode
from typing import Any, ClassVar, Literal

import msgspec
from flask import Blueprint, Response, current_app

from service.api.wire import embed, engine, let_in, let_out, read, reply
from service.engine.model import Embeddings, Model
from service.errors import InvalidInput, UnknownModel

routes = Blueprint("openai", __name__)
routes.before_request(let_in)
routes.after_request(let_out)


class Texts(msgspec.Struct):
    """A request for embeddings: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {
        "input": "; send a string or a list of strings (token ids are not supported: with LangChain "
        "set check_embedding_ctx_length=False)",
        "encoding_format": "; send float or base64",
        "dimensions": "; send a positive integer, or leave it out for all",
    }

    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None

    def texts(self) -> list[str]:
        """Return the input as a list of 1 to EMBED_MAX_INPUTS texts, or raise InvalidInput."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        limit = current_app.config["MAX_INPUTS"]
        if not texts:
            raise InvalidInput("input is an empty list; send at least one text", "input")
        if len(texts) > limit:
            raise InvalidInput(f"input has {len(texts)} texts; send at most {limit} at a time", "input")
        return texts


@routes.post("/v1/embeddings")
@routes.post("/embeddings")
def create_embeddings() -> Response:
    """Embed one text or a list of texts."""
    body = read(Texts)
    embeddings = embed(body.texts(), body.dimensions)
    return reply(embeddings_list(embeddings, body.model, body.encoding_format))


@routes.get("/v1/models")
def list_models() -> Response:
    """List the model."""
    return reply({"object": "list", "data": [_model(engine().model)]})


@routes.get("/v1/models/<path:name>")
def retrieve_model(name: str) -> Response:
    """Describe the model of this name."""
    served = engine().model
    if name != served.name:
        raise UnknownModel(f"there is no model {name}; this service has {served.name}", "model")
    return reply(_model(served))


def embeddings_list(embeddings: Embeddings, model: str | None, encoding: str | None) -> dict[str, Any]:
    """Build the answer; base64 holds little-endian float32."""
    vectors: Any = embeddings.vectors
    if encoding == "base64":
        vectors = [b64encode(vector.astype("<f4", copy=False)).decode() for vector in vectors]
    return {
        "object": "list",
        "data": [{"object": "embedding", "embedding": vector, "index": i} for i, vector in enumerate(vectors)],
        "model": model or engine().model.name,
        "usage": {"prompt_tokens": embeddings.tokens, "total_tokens": embeddings.tokens},
    }


def _model(model: Model) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": current_app.config["STARTED"],
        "owned_by": "sentence-transformers",
        "revision": model.revision,
    }
