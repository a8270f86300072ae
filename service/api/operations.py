"""What a supervisor asks: is this process alive, and would a request be answered?"""

from flask import Blueprint, Response

from service.api.envelope import envelope
from service.api.wire import engine, reply

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
