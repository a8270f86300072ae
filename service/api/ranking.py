"""How well documents answer a query: the one place that every dialect's rerank route asks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.choices import Cut, find_prompt
from service.api.exchange import current
from service.api.inputs import naming
from service.api.wire import embed, engine, reranker
from service.engine.engine import Engine
from service.engine.model import Pair, Reading
from service.engine.options import Options


class Ranking(NamedTuple):
    """How well documents answer a query.

    Args:
        model: the name of the model that says so.
        scores: float32 of shape (documents,).
        tokens: how many the model read.
        cut: the indices of the documents that are longer than the model reads.
    """

    model: str
    scores: npt.NDArray[np.float32]
    tokens: int
    cut: list[int]

    def best(self, most: int | None = None) -> list[int]:
        """Return the indices of the ``most`` best documents, best first; of equal ones the caller's first."""
        return [int(index) for index in np.argsort(-self.scores, kind="stable")][:most]


def rank(  # noqa: PLR0913  # each is a choice of the request
    model: str | None, query: str, documents: Sequence[str], cut: Cut, *, raw: bool = False, field: str = "documents"
) -> Ranking:
    """Score ``documents`` by the model of EMBED_RERANK_MODEL, else by the cosine of their embeddings with the query's.

    Args:
        model: the name that the request gives; that of a model that embeds texts ranks by its embeddings.
        query: a text.
        documents: any number of texts.
        cut: what becomes of long texts.
        raw: return the score before its activation, or the cosine itself instead of its half plus one half.
        field: the member of the request that holds the documents.

    Raises:
        RequestError: as ``wire.embed`` does; an error in a text names the query or the document.
    """
    scorer = reranker(model)
    if scorer is None:
        return _compare(engine(model), query, documents, cut, raw=raw, field=field)
    pairs: list[Any] = [Pair(query, document) for document in documents]
    with naming([f"{field}[{index}]" for index in range(len(documents))]):
        done = embed(scorer.engine, pairs, Options(Reading(side=cut.side), refuse_long=cut.refuse))
    scores = done.vectors[:, 0] if raw else scorer.activate(done)
    return Ranking(scorer.model.name, scores, done.tokens, done.cut)


def _compare(  # noqa: PLR0913  # as above
    loaded: Engine, query: str, documents: Sequence[str], cut: Cut, *, raw: bool, field: str
) -> Ranking:
    """Embed the query with the prompt for queries and the documents with theirs, if the model has them."""
    asked, told = (Reading(find_prompt(loaded.model, None, side), cut.side) for side in ("query", "document"))
    texts = [query, *documents]
    names = ["query", *(f"{field}[{index}]" for index in range(len(documents)))]
    parts = [(asked, 0, len(texts))] if asked == told else [(asked, 0, 1), (told, 1, len(texts))]
    done = []
    for reading, first, last in parts:
        options = Options(reading, normalize=True, refuse_long=cut.refuse)
        with naming(names[first:last]):
            done.append(embed(loaded, texts[first:last], options))
    vectors = np.concatenate([each.vectors for each in done])
    cuts = [first + index - 1 for (_, first, _), each in zip(parts, done, strict=True) for index in each.cut]
    current().cut = cuts = [index for index in cuts if index >= 0]  # the query is no item of a list
    cosines = np.clip(vectors[1:] @ vectors[0], -1, 1)
    return Ranking(loaded.model.name, cosines if raw else (1 + cosines) / 2, sum(each.tokens for each in done), cuts)
