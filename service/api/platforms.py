"""Routes of hosting platforms: Hugging Face's ``/`` and ``/v1``, SageMaker's ``/invocations``, Vertex's ``/vertex``."""

from collections import defaultdict
from itertools import accumulate, chain, pairwise
from typing import Any

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults, rerank, similarity, tei
from service.api.exchange import current
from service.api.inputs import check_count, flatten
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, peek, read, reply
from service.engine.options import Options
from service.errors import Empty

routes = Blueprint("platforms", __name__)
refuse = faults.register(routes, STATUS, describe_error)
contract.errors(routes, STATUS, Refusal)


class Vertex(msgspec.Struct):
    """Several requests for embeddings in one."""

    instances: list[tei.Embed]


class Predictions(msgspec.Struct):
    """The vectors of each instance."""

    predictions: list[list[list[float]]]


@routes.post("/")
@routes.post("/v1")
@routes.post("/invocations")
@contract.view(
    body=tei.Embed | similarity.Similarity | rerank.Texts,
    answer=list[list[float]] | list[float] | list[rerank.Rank],
    examples={
        "texts": {"inputs": ["Hello, world", "你好,世界"]},
        "sentences": similarity.EXAMPLE,
        "a query": {"query": rerank.QUERY, "texts": rerank.CANDIDATES},
    },
)
def answer_any() -> Response:
    """Rank if there are ``texts``, compare if ``inputs`` is an object, and embed otherwise."""
    sent = peek(tei.Peek)
    if sent.has_candidates():
        return rerank.rank_texts()
    return similarity.create_similarities() if sent.has_sentences() else tei.embed()


@routes.post("/vertex")
@contract.view(body=Vertex, answer=Predictions, examples={"texts": {"instances": [{"inputs": "Hello, world"}]}})
def predict() -> Response:
    """Answer each instance as ``/embed`` does. Those that choose the same are embedded together."""
    instances = read(Vertex).instances
    if not instances:
        raise Empty("instances is an empty list; send at least one", "instances")
    lists = [flatten(each.inputs, f"instances[{index}].inputs") for index, each in enumerate(instances)]
    inputs = [*chain(*lists)]
    check_count(len(inputs), "instances")
    names = [f"instances[{i}].inputs[{j}]" for i, each in enumerate(lists) for j in range(len(each))]
    ends = [*accumulate(map(len, lists), initial=0)]
    alike: dict[tuple[str | None, Options], list[int]] = defaultdict(list)
    for each, (start, end) in zip(instances, pairwise(ends), strict=True):
        alike[each.model, each.options(engine(each.model).model)] += range(start, end)
    vectors: dict[int, Any] = {}
    cut = []
    for (model, options), members in alike.items():
        embeddings = tei.ask(engine(model), [inputs[i] for i in members], options, [names[i] for i in members])
        vectors |= zip(members, embeddings.vectors, strict=True)
        cut += [members[i] for i in embeddings.cut]
    current().cut = sorted(cut)
    predictions = [[vectors[i] for i in range(start, end)] for start, end in pairwise(ends)]
    return reply({"predictions": predictions})
