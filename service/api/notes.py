"""``POST /embed``: the answer of the original notes' service, with true token counts."""

from flask import Blueprint, Response

from service.api import faults
from service.api.envelope import STATUS, envelope
from service.api.openai import Request, ask, embeddings_list
from service.api.wire import read, reply

routes = Blueprint("notes", __name__)
refuse = faults.register(routes, STATUS, envelope)


@routes.post("/embed")
def create_embeddings() -> Response:
    """Embed ``input``; the answer names the loaded model, not the requested one."""
    body = read(Request)
    embeddings = ask(body, body.model)
    return reply(embeddings_list(embeddings, Request(body.input), model=None))
