"""``POST /embed``: the answer of the original notes' service, with true token counts."""

from flask import Blueprint, Response

from service.api.openai import Texts, embeddings_list
from service.api.wire import embed, let_in, let_out, read, reply

routes = Blueprint("notes", __name__)
routes.before_request(let_in)
routes.after_request(let_out)


@routes.post("/embed")
def create_embeddings() -> Response:
    """Embed ``input``; the answer names the loaded model, not the requested one."""
    body = read(Texts)
    embeddings = embed(body.texts())
    return reply(embeddings_list(embeddings, model=None, encoding=None))
