"""Probes and metrics for a supervisor."""

from typing import Literal

import msgspec
from flask import Blueprint, Response, current_app, request

from service.api import contract
from service.api.answers import OpenAIRefusal
from service.api.envelope import STATUS
from service.api.wire import engines, reply
from service.errors import ForkedAfterLoad
from service.metrics import CONTENT_TYPE

routes = Blueprint("operations", __name__)


class Alive(msgspec.Struct):
    """The process runs."""

    status: Literal["alive"]


class Ready(msgspec.Struct):
    """The model answers requests."""

    status: Literal["ready"]
    model: str


class NotReady(msgspec.Struct):
    """The model answers no requests."""

    status: Literal["not ready"]
    reason: str


contract.errors(routes, STATUS, NotReady | OpenAIRefusal)


@routes.get("/livez")
@contract.view(answer=Alive)
def livez() -> Response:
    """Answer 200 while the process runs."""
    return reply({"status": "alive"})


@routes.get("/readyz")
@routes.get("/health")
@routes.get("/ping")
@contract.view(answer=Ready, raises=[ForkedAfterLoad])
def readyz() -> Response:
    """Answer 200 if the model can answer requests."""
    if not engines().is_ready():
        return reply({"status": "not ready", "reason": "the model is not running; restart this worker"}, 503)
    return reply({"status": "ready", "model": ", ".join(each.model.name for each in engines())})


@routes.get("/")
@contract.view(answer=Ready, raises=[ForkedAfterLoad])
def root() -> Response:
    """Answer as ``/readyz`` does; a browser gets the page, where there is one."""
    page = current_app.extensions.get("page")
    return page() if page and "text/html" in request.headers.get("Accept", "") else readyz()


@routes.get("/metrics")
@contract.view(answer=str, media="text/plain")
def metrics() -> Response:
    """Return the metrics of all workers in Prometheus's text format."""
    return Response(current_app.extensions["metrics"](), content_type=CONTENT_TYPE)
