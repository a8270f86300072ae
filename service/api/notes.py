"""``POST /embed`` as in the notes this project began with, member for member, with true token counts."""

from flask import Blueprint, Response

from service.api.openai import Texts, embeddings_list
from service.api.wire import embed, read, reply

routes = Blueprint("notes", __name__)


@routes.post("/embed")
def create_embeddings() -> Response:
    """Embed ``input``; the model that answers is the one that was loaded, whatever the request calls it."""
    body = read(Texts)
    return reply(embeddings_list(embed(body.texts()), model=None, encoding=None))
