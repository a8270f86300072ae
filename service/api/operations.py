"""What a supervisor asks: is this process alive, would a request be answered, and how much is to do?"""

from flask import Blueprint, Response

from service.api.envelope import envelope
from service.api.wire import engine, reply
from service.hosting import uwsgi
from service.hosting.master import Master

routes = Blueprint("operations", __name__)


@routes.get("/livez")
def livez() -> Response:
    """Answer as long as the process answers at all."""
    return reply({"status": "alive"})


@routes.get("/readyz")
def readyz() -> Response:
    """Answer 200 if a request for embeddings would be answered."""
    if not engine().is_ready():
        return envelope("the model is not running; restart this worker", 503)
    return reply({"status": "ready", "model": engine().model.name})


@routes.get("/metrics")
def metrics() -> Response:
    """Tell the load over all workers, in Prometheus's text format."""
    run_dir = uwsgi.run_dir()
    if run_dir is None:
        return envelope("the metrics are those of uWSGI's master, which does not run here", 501)
    workers = Master(run_dir).workers()
    held = sum(core.in_request for worker in workers for core in worker.cores) - 1  # the one that asks
    ready = sum(worker.accepting for worker in workers)
    starts = sum(worker.respawn_count for worker in workers)
    text = (
        _sample("requests_in_flight", "gauge", held, "Requests that the workers hold, waiting or computed.")
        + _sample("workers_ready", "gauge", ready, "Workers that have loaded their model.")
        + _sample("worker_starts_total", "counter", starts, "Times that a worker was started, reloads included.")
    )
    return Response(text, mimetype="text/plain; version=0.0.4")


def _sample(name: str, kind: str, value: int, meaning: str) -> str:
    name = f"embeddings_{name}"
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n"
