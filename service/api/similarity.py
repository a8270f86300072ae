"""``POST /similarity``: how similar one sentence is to others, as Text Embeddings Inference answers it."""

from typing import ClassVar

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults
from service.api.inputs import flatten
from service.api.tei import Parameters, answer, ask
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, read

routes = Blueprint("similarity", __name__)
refuse = faults.register(routes, STATUS, describe_error)
contract.errors(routes, STATUS, Refusal)


class Sentences(msgspec.Struct):
    """What a request compares."""

    source_sentence: str
    sentences: list[str]


class Similarity(msgspec.Struct):
    """A request for the similarity of one sentence to others."""

    HINTS: ClassVar = {"inputs": '; send {"source_sentence": "a text", "sentences": ["a text", ..]}'}

    inputs: Sentences
    parameters: Parameters | None = None
    model: str | None = None


EXAMPLE = {"inputs": {"source_sentence": "a cat", "sentences": ["a kitten", "the stock market"]}}


@routes.post("/similarity")
@contract.view(body=Similarity, answer=list[float], examples={"sentences": EXAMPLE})
def create_similarities() -> Response:
    """Compare a sentence with others."""
    body = read(Similarity)
    loaded = engine(body.model)
    sentences = flatten(body.inputs.sentences, "inputs.sentences")
    inputs = [body.inputs.source_sentence, *sentences]
    names = ["inputs.source_sentence", *(f"inputs.sentences[{i}]" for i in range(len(sentences)))]
    options = (body.parameters or Parameters()).options(loaded.model)._replace(normalize=True)
    embeddings = ask(loaded, inputs, options, names)
    return answer(embeddings.vectors[1:] @ embeddings.vectors[0], inputs, embeddings)
