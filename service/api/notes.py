"""``POST /embed``: the answer of the original notes' service to ``input``, and TEI's to ``inputs``."""

from flask import Blueprint, Response

from service.api import contract, faults, tei
from service.api.answers import EmbeddingList
from service.api.envelope import STATUS, envelope
from service.api.openai import Request, ask, embeddings_list
from service.api.wire import engine, peek, read, reply

routes = Blueprint("notes", __name__)
refuse = faults.register(routes, STATUS, envelope)


@routes.post("/embed")
@contract.view(
    body=Request | tei.Embed,
    answer=EmbeddingList | list[list[float]],
    examples={"texts": {"input": ["Hello, world", "你好,世界"]}, "as TEI": {"inputs": ["Hello, world", "你好,世界"]}},
    others=[tei.ERRORS],
)
def create_embeddings() -> Response:
    """Embed ``input``; the answer names the loaded model, not the requested one, and has true token counts."""
    if peek(tei.Peek).has_inputs():
        return tei.take_over(tei.embed)
    body = read(Request)
    embeddings = ask(body, body.model)
    return reply(embeddings_list(embeddings, Request(body.input), engine(body.model).model.name))
