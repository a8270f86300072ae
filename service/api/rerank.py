"""``POST /rerank``, ``/v1/rerank`` and ``/v2/rerank``: Cohere, Jina, Voyage and Infinity rank ``documents``, and Text
Embeddings Inference ranks ``texts``.

https://docs.cohere.com/reference/rerank
"""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import UNSET, UnsetType

from service.api import contract, faults, tei
from service.api.answers import Usage
from service.api.choices import Cut, Truncate
from service.api.cohere import Version
from service.api.envelope import STATUS, envelope
from service.api.inputs import flatten
from service.api.ranking import Ranking, rank
from service.api.wire import find_cut, peek, read, reply
from service.errors import InvalidInput

routes = Blueprint("rerank", __name__)
refuse = faults.register(routes, STATUS, envelope)

Count = Annotated[int, msgspec.Meta(ge=1)]
Document = str | dict[str, Any]


class Texts(tei.Parameters, kw_only=True):
    """TEI's request for a ranking."""

    HINTS: ClassVar = {
        "query": "; send a string",
        "texts": "; send a list of strings",
        "truncation_direction": "; send Left or Right",
    }

    query: str
    texts: list[str]
    model: str | None = None
    return_text: bool | None = None
    raw_scores: bool | None = None


class Documents(msgspec.Struct, kw_only=True):
    """A request for a ranking: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {
        "query": "; send a string",
        "documents": '; send a list of strings, or of {"text": "..."}',
        "top_n": "; send a positive number, or leave it out for all",
        "top_k": "; send a positive number, or leave it out for all",
    }

    query: str
    documents: list[Document]
    rank_fields: list[str] | None = None
    model: str | None = None
    top_n: Count | None = None
    top_k: Count | None = None
    return_documents: bool | None = None
    raw_scores: bool | None = None
    truncate: Truncate | None = None
    truncation: bool | None = None


class Rank(msgspec.Struct):
    """A text and its score, as TEI tells of it."""

    index: int
    score: float
    text: str | UnsetType = UNSET


class Result(msgspec.Struct):
    """A document and its score, which is from 0 to 1 unless the cosine is asked for."""

    index: int
    relevance_score: float
    document: dict[str, Any] | UnsetType = UNSET


class Units(msgspec.Struct):
    """A ranking."""

    search_units: Literal[1]


class Tokens(msgspec.Struct):
    """The tokens that were read."""

    input_tokens: int
    output_tokens: Literal[0]


class Meta(msgspec.Struct):
    """What Cohere's clients show beside the results."""

    api_version: Version
    billed_units: Units
    tokens: Tokens


class Results(msgspec.Struct):
    """The documents, best first; ``data`` is ``results`` again."""

    id: str
    object: Literal["rerank"]
    model: str
    results: list[Result]
    data: list[Result]
    usage: Usage
    meta: Meta


QUERY = "What is the capital of France?"
CANDIDATES = ["Cats sleep a lot.", "Paris is the capital of France."]


@routes.post("/rerank")
@routes.post("/v1/rerank")
@routes.post("/v2/rerank")
@contract.view(
    body=Documents | Texts,
    answer=Results | list[Rank],
    examples={
        "documents": {"query": QUERY, "documents": CANDIDATES, "top_n": 1, "return_documents": True},
        "as TEI": {"query": QUERY, "texts": CANDIDATES, "return_text": True},
    },
    others=[tei.ERRORS],
)
def rerank() -> Response:
    """Rank texts, or documents, by how well they answer the query."""
    return faults.take_over(rank_texts, tei.refuse) if peek(tei.Peek).has_candidates() else rank_documents()


def rank_texts() -> Response:
    """Answer with all texts, best first."""
    body = read(Texts)
    ranking = ask(body, body.texts, "texts", body.cut())
    shown = [{"text": text} if body.return_text else {} for text in body.texts]
    return reply([{"index": index, **shown[index], "score": ranking.scores[index]} for index in ranking.best()])


def rank_documents() -> Response:
    """Answer with the best documents; Voyage's clients read ``data``, FastGPT ``meta``, the others ``results``."""
    body = read(Documents)
    fields = body.rank_fields or ["text"]
    texts = [extract(document, fields, index) for index, document in enumerate(body.documents)]
    cut = find_cut(body.truncation if body.truncate is None else body.truncate)
    ranking = ask(body, texts, "documents", cut)
    # On /rerank, litellm wants a string of Infinity and an object of vLLM: both do without.
    shows = body.return_documents and request.path != "/rerank"
    results = [
        {"index": index, "relevance_score": ranking.scores[index]} | (show(body.documents[index]) if shows else {})
        for index in ranking.best(body.top_n or body.top_k)
    ]
    answer = {
        "id": str(uuid.uuid4()),
        "object": "rerank",  # infinity-client refuses any other
        "model": body.model or ranking.model,
        "results": results,
        "data": results,
        "usage": {"prompt_tokens": ranking.tokens, "total_tokens": ranking.tokens},
        "meta": {
            "api_version": {"version": "1" if request.path.startswith("/v1/") else "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": ranking.tokens, "output_tokens": 0},
        },
    }
    return reply(answer)


def ask(body: Texts | Documents, texts: Sequence[str], field: str, cut: Cut) -> Ranking:
    """Rank ``texts``, which are those of the member ``field``."""
    flatten(texts, field)
    return rank(body.model, body.query, texts, cut, raw=bool(body.raw_scores), field=field)


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
