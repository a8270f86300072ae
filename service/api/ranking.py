"""How well documents answer a query: the one place that every dialect's rerank route asks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.api.choices import Cut, find_prompt
from service.api.exchange import current
from service.api.inputs import naming
from service.api.wire import embed
from service.engine.engine import Engine, Options
from service.engine.model import Reading


class Ranking(NamedTuple):
    """How well documents answer a query.

    Args:
        scores: float32 of shape (documents,): the cosine, or its half plus one half, which lies between 0 and 1.
        tokens: how many the model read.
        cut: the indices of the documents that are longer than the model reads.
    """

    scores: npt.NDArray[np.float32]
    tokens: int
    cut: list[int]

    def best(self, most: int | None = None) -> list[int]:
        """Return the indices of the ``most`` best documents, best first; of equal ones the caller's first."""
        return [int(index) for index in np.argsort(-self.scores, kind="stable")][:most]


def rank(  # noqa: PLR0913  # each is a choice of the request
    loaded: Engine, query: str, documents: Sequence[str], cut: Cut, *, raw: bool = False, field: str = "documents"
) -> Ranking:
    """Score ``documents`` by the cosine of their embeddings with that of ``query``.

    Args:
        loaded: embeds the query with the prompt for queries and the documents with theirs, if the model has them.
        query: a text.
        documents: any number of texts.
        cut: what becomes of long texts.
        raw: return the cosine itself.
        field: the member of the request that holds the documents.

    Raises:
        RequestError: as ``wire.embed`` does; an error in a text names the query or the document.
    """
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
    return Ranking(cosines if raw else (1 + cosines) / 2, sum(each.tokens for each in done), cuts)
