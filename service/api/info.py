"""``GET /info``: the model and the limits, as Text Embeddings Inference tells of them, with members of our own."""

from typing import Literal

import msgspec
from flask import Blueprint, Response, current_app

from service.api import contract, faults
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, reply, reranker
from service.errors import ForkedAfterLoad

routes = Blueprint("info", __name__)
faults.register(routes, STATUS, describe_error)
contract.errors(routes, STATUS, Refusal)

#: TEI's name of a pooling, where sentence-transformers has another; static embeddings are a mean and have no module.
POOLINGS = {"": "mean", "lasttoken": "last_token"}


class Pooling(msgspec.Struct):
    """How a text's vector is made of those of its tokens."""

    pooling: str


class ModelType(msgspec.Struct):
    """What a model makes."""

    embedding: Pooling


class Info(msgspec.Struct):
    """The model and the limits; TEI's members that mean nothing here are null."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    served_model_name: str
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int | None
    max_batch_tokens: int
    max_batch_requests: None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: None
    version: str
    sha: None
    docker_label: None
    fingerprint: str
    backend: Literal["openvino", "torch"]
    dimensions: int
    prompts: dict[str, str]
    default_prompt: str | None
    reranker: str | None


@routes.get("/info")
@contract.view(answer=Info, raises=[ForkedAfterLoad])
def describe() -> Response:
    """Describe the model and the limits, with TEI's members and ours."""
    loaded, scorer = engine(), reranker()
    model, limits, settings = loaded.model, loaded.limits, current_app.config
    return reply(
        {
            "model_id": model.name,
            "model_sha": model.revision,
            "model_dtype": model.dtype,
            "served_model_name": model.name,
            "model_type": {"embedding": {"pooling": POOLINGS.get(model.pooling, model.pooling)}},
            "max_concurrent_requests": limits.max_requests,
            "max_input_length": model.max_length,
            "max_batch_tokens": loaded.max_batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": settings["MAX_INPUTS"],
            "auto_truncate": settings["TRUNCATE"] != "off",
            "tokenization_workers": None,
            "version": settings["VERSION"],
            "sha": None,
            "docker_label": None,
            "fingerprint": model.fingerprint,
            "backend": model.backend,
            "dimensions": model.dimension,
            "prompts": dict(model.prompts),
            "default_prompt": model.default_prompt,
            "reranker": scorer.model.name if scorer else None,
        }
    )
