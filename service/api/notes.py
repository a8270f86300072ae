"""``POST /embed``: the answer of the original notes' service to ``input``, and TEI's to ``inputs``."""

from flask import Blueprint, Response

from service.api import contract, envelope, faults, openai, tei
from service.api.answers import EmbeddingList, OpenAIRefusal
from service.api.openai import Request, ask, embeddings_list
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, peek, read, reply

routes = Blueprint("notes", __name__)
# What is refused before its body is read is refused as TEI does, whose route it is.
refuse = faults.register(routes, STATUS, describe_error)
contract.errors(routes, STATUS, Refusal)


@routes.post("/embed")
@contract.view(
    body=Request | tei.Embed,
    answer=EmbeddingList | list[list[float]],
    examples={"texts": {"input": ["Hello, world", "你好,世界"]}, "as TEI": {"inputs": ["Hello, world", "你好,世界"]}},
    others=[contract.Errors(envelope.STATUS, OpenAIRefusal)],
)
def create_embeddings() -> Response:
    """Embed ``input``; the answer names the loaded model, not the requested one, and has true token counts."""
    if peek(tei.Peek).has_inputs():
        return tei.embed()
    return faults.take_over(_embed_input, openai.refuse)


def _embed_input() -> Response:
    body = read(Request)
    embeddings = ask(body, body.model)
    return reply(embeddings_list(embeddings, Request(input=body.input), engine(body.model).model.name))
