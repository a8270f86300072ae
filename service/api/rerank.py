"""``POST /rerank``, ``/v1/rerank`` and ``/v2/rerank``, in the dialects of TEI (``texts``) and of Cohere, Jina, Voyage
and Infinity (``documents``).

https://docs.cohere.com/reference/rerank, https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/rerank
"""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from flask import Blueprint, Response, request

from service.api import faults
from service.api.choices import Truncate, decide_cut
from service.api.envelope import STATUS, envelope
from service.api.inputs import flatten
from service.api.ranking import Ranking, rank
from service.api.wire import engine, read, reply
from service.engine.model import Side
from service.errors import InvalidInput

routes = Blueprint("rerank", __name__)
refuse = faults.register(routes, STATUS, envelope)

Count = Annotated[int, msgspec.Meta(ge=1)]
Document = str | dict[str, Any]


class Request(msgspec.Struct):
    """A request for a ranking: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {
        "query": "; send a string",
        "texts": "; send a list of strings",
        "documents": '; send a list of strings, or of {"text": "..."}',
        "top_n": "; send a positive number, or leave it out for all",
        "top_k": "; send a positive number, or leave it out for all",
    }

    query: str
    texts: list[str] | None = None
    documents: list[Document] | None = None
    rank_fields: list[str] | None = None
    model: str | None = None
    top_n: Count | None = None
    top_k: Count | None = None
    return_documents: bool | None = None
    return_text: bool | None = None
    raw_scores: bool | None = None
    truncate: Truncate | None = None
    truncation: bool | None = None
    truncation_direction: Side | None = None


@routes.post("/rerank")
@routes.post("/v1/rerank")
@routes.post("/v2/rerank")
def rerank() -> Response:
    """Rank texts, or documents, by how well they answer the query."""
    body = read(Request)
    if body.texts is not None:
        return reply(rank_texts(body, body.texts))
    if body.documents is None:
        raise InvalidInput("documents is missing; send a list of strings", "documents")
    # On /rerank, litellm wants a string of Infinity and an object of vLLM: both do without.
    shows = bool(body.return_documents) and request.path != "/rerank"
    return reply(rank_documents(body, body.documents, shows=shows))


def rank_texts(body: Request, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return TEI's answer: all texts, best first."""
    ranking = ask(body, texts, "texts")
    shown = [{"text": text} if body.return_text else {} for text in texts]
    return [{"index": index, **shown[index], "score": ranking.scores[index]} for index in ranking.best()]


def rank_documents(body: Request, documents: Sequence[Document], *, shows: bool) -> dict[str, Any]:
    """Return the answer of all others: Voyage's clients read ``data``, FastGPT ``meta``, the rest ``results``."""
    fields = body.rank_fields or ["text"]
    texts = [extract(document, fields, index) for index, document in enumerate(documents)]
    ranking = ask(body, texts, "documents")
    results = [
        {"index": index, "relevance_score": ranking.scores[index]} | (show(documents[index]) if shows else {})
        for index in ranking.best(body.top_n or body.top_k)
    ]
    return {
        "id": str(uuid.uuid4()),
        "object": "rerank",  # infinity-client refuses any other
        "model": body.model or engine().model.name,
        "results": results,
        "data": results,
        "usage": {"prompt_tokens": ranking.tokens, "total_tokens": ranking.tokens},
        "meta": {
            "api_version": {"version": "1" if request.path.startswith("/v1/") else "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": ranking.tokens, "output_tokens": 0},
        },
    }


def ask(body: Request, texts: Sequence[str], field: str) -> Ranking:
    """Rank what ``body`` asks for."""
    flatten(texts, field)
    cut = decide_cut(body.truncation if body.truncate is None else body.truncate, body.truncation_direction)
    return rank(engine(body.model), body.query, texts, cut, raw=bool(body.raw_scores), field=field)


def extract(document: Document, fields: Sequence[str], index: int) -> str:
    """Return the text of a document; one with several fields has each on a line.

    Raises:
        InvalidInput: it has none of these fields, or something else in them.
    """
    if isinstance(document, str):
        return document
    values = [document[field] for field in fields if field in document]
    if not values or not all(isinstance(value, str) for value in values):
        raise InvalidInput(
            f"documents[{index}] has no text in {' or '.join(fields)}; send strings, or objects with a text",
            "documents",
            index,
        )
    return "\n".join(values)


def show(document: Document) -> dict[str, Any]:
    """Return a document as Cohere's v1 does."""
    return {"document": {"text": document} if isinstance(document, str) else document}
