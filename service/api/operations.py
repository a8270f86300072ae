"""Probes and metrics for a supervisor."""

from flask import Blueprint, Response, current_app

from service.api.wire import engine, reply

routes = Blueprint("operations", __name__)


@routes.get("/livez")
def livez() -> Response:
    """Answer 200 while the process runs."""
    return reply({"status": "alive"})


@routes.get("/readyz")
@routes.get("/health")
@routes.get("/ping")
@routes.get("/")
def readyz() -> Response:
    """Answer 200 if the model can answer requests."""
    if not engine().is_ready():
        return reply({"status": "not ready", "reason": "the model is not running; restart this worker"}, 503)
    return reply({"status": "ready", "model": engine().model.name})


@routes.get("/metrics")
def metrics() -> Response:
    """Return the metrics of all workers in Prometheus's text format."""
    return Response(current_app.extensions["metrics"](), mimetype="text/plain; version=0.0.4; charset=utf-8")
