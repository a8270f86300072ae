"""``GET /info``: the model and the limits, as Text Embeddings Inference tells of them, with members of our own."""

from flask import Blueprint, Response, current_app

from service.api import faults
from service.api.tei_errors import STATUS, describe_error
from service.api.wire import engine, reply

routes = Blueprint("info", __name__)
faults.register(routes, STATUS, describe_error)

#: TEI's name of a pooling, where sentence-transformers has another; static embeddings are a mean and have no module.
POOLINGS = {"": "mean", "lasttoken": "last_token"}


@routes.get("/info")
def describe() -> Response:
    """Describe the model and the limits, with TEI's members and ours."""
    loaded = engine()
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
            "max_batch_tokens": limits.max_batch_tokens or model.max_batch_tokens,
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
            "reranker": None,
        }
    )
