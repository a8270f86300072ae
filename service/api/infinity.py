"""Infinity's list of models; its other routes are in ``openai.py`` and ``rerank.py``.

https://github.com/michaelfeil/infinity
"""

from typing import Literal

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults
from service.api.answers import ModelCard
from service.api.envelope import STATUS, envelope
from service.api.openai import describe
from service.api.wire import engines, reply
from service.engine.engine import Engine
from service.errors import ForkedAfterLoad

routes = Blueprint("infinity", __name__)
refuse = faults.register(routes, STATUS, envelope)


class Stats(msgspec.Struct):
    """What waits; a queue and a batch are measured in tokens."""

    queue_fraction: float
    queue_absolute: int
    results_pending: int
    batch_size: int


class LoadedModel(ModelCard):
    """A model and its statistics."""

    owned_by: Literal["infinity"]
    stats: Stats


class ModelList(msgspec.Struct):
    """The models that are served."""

    object: Literal["list"]
    data: list[LoadedModel]


@routes.get("/models")
@contract.view(answer=ModelList, raises=[ForkedAfterLoad])
def list_models() -> Response:
    """List the models as infinity-client wants them: it refuses another owner, and a model without ``stats``."""
    cards = [
        describe(name, loaded.model) | {"owned_by": "infinity", "stats": measure_load(loaded)}
        for name, loaded in engines().by_name.items()
    ]
    return reply({"object": "list", "data": cards})


def measure_load(loaded: Engine) -> dict[str, float]:
    """Return Infinity's statistics, where a queue and a batch are measured in tokens; all models share the queue."""
    requests, tokens = engines().admission.load()
    return {
        "queue_fraction": tokens / loaded.limits.max_queue_tokens,
        "queue_absolute": tokens,
        "results_pending": requests,
        "batch_size": loaded.max_batch_tokens,
    }
