"""The dialect of Text Embeddings Inference (TEI), which Hugging Face's, LlamaIndex's and Haystack's clients speak.

https://huggingface.github.io/text-embeddings-inference. Where its code and its documents disagree, the code counts.
"""

import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NoReturn

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults, wire
from service.api.choices import Cut, find_prompt
from service.api.exchange import current
from service.api.inputs import Inputs, flatten, naming
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, find_cut, read, reply
from service.engine.engine import Engine
from service.engine.model import Embeddings, Input, Model, Reading, Side
from service.engine.options import Options
from service.errors import Overloaded, WrongModel

NULL = msgspec.Raw(b"null")
TEXTS = re.compile(rb'(\[\s*)?"')

routes = Blueprint("tei", __name__)
refuse = faults.register(routes, STATUS, describe_error)
ERRORS = contract.errors(routes, STATUS, Refusal)


class Parameters(msgspec.Struct, kw_only=True):
    """How texts are read, and what their vectors are like. Other members are ignored, null counts as absent."""

    truncate: bool | None = None
    truncation_direction: Literal["Left", "Right", "left", "right", "LEFT", "RIGHT"] | None = None
    prompt_name: str | None = None
    normalize: bool | None = None
    dimensions: int | None = None

    def cut(self) -> Cut:
        """Return what becomes of long texts."""
        sides: dict[str, Side] = {"left": "left", "right": "right"}
        return find_cut(self.truncate, sides.get((self.truncation_direction or "").lower()))

    def options(self, model: Model) -> Options:
        """Return what they mean for ``model``; vectors have length 1 unless ``normalize`` is false, as TEI's have."""
        cut = self.cut()
        reading = Reading(find_prompt(model, self.prompt_name), cut.side)
        return Options(reading, self.dimensions, self.normalize is not False, cut.refuse)


class Embed(Parameters, kw_only=True):
    """A request for embeddings."""

    HINTS: ClassVar = {
        "inputs": "; send a string, a list of strings, or token ids",
        "dimensions": "; send a positive integer, or leave it out for all",
        "truncation_direction": "; send Left or Right",
    }

    inputs: Inputs
    model: str | None = None


class Peek(msgspec.Struct):
    """The members by which requests of several dialects are told apart."""

    inputs: msgspec.Raw = NULL
    texts: msgspec.Raw = NULL

    def has_inputs(self) -> bool:
        """Tell whether there are any."""
        return self.inputs != NULL

    def has_texts(self) -> bool:
        """Tell whether they are a string or strings."""
        return bool(TEXTS.match(self.inputs))

    def has_candidates(self) -> bool:
        """Tell whether there are texts to rank."""
        return self.texts != NULL

    def has_sentences(self) -> bool:
        """Tell whether they are an object."""
        return bytes(memoryview(self.inputs)[:1]) == b"{"


def embed() -> Response:
    """Embed texts or token ids, which are always the model's own."""
    body = read(Embed)
    loaded = engine(body.model)
    # An empty text is embedded. TEI refuses it, and with it the whole batch: LlamaIndex's and Chroma's clients do not
    # look at the status, and take the error for vectors.
    inputs = flatten(body.inputs, "inputs")
    embeddings = ask(loaded, inputs, body.options(loaded.model), [f"inputs[{i}]" for i in range(len(inputs))])
    return answer(embeddings.vectors, inputs, embeddings)


@routes.post("/embed_all")
@contract.view(answer=NoReturn, raises=[WrongModel, Overloaded])
def embed_tokens() -> NoReturn:
    """Refuse to embed each token: a compiled model ends with its pooling."""
    raise WrongModel("this service gives one vector a text and none for each token; use POST /embed")


@routes.post("/embed_sparse")
@contract.view(answer=NoReturn, raises=[WrongModel, Overloaded])
def embed_sparse() -> NoReturn:
    """Refuse to make sparse vectors."""
    raise WrongModel("the model is not a sparse encoder; use POST /embed, which gives dense vectors")


@routes.post("/predict")
@contract.view(answer=NoReturn, raises=[WrongModel, Overloaded])
def classify() -> NoReturn:
    """Refuse to classify."""
    raise WrongModel("the model is not a classifier; use POST /embed for vectors")


def ask(loaded: Engine, inputs: Sequence[Input], options: Options, names: Sequence[str]) -> Embeddings:
    """Embed ``inputs``, which the caller knows by ``names``."""
    with naming(names):
        return wire.embed(loaded, inputs, options)


def answer(body: Any, inputs: Sequence[Input], embeddings: Embeddings) -> Response:
    """Answer with TEI's headers: tokens, characters, and whole milliseconds."""
    timings = embeddings.timings
    seconds = {
        "x-total-time": time.monotonic() - current().started,
        "x-tokenization-time": timings.tokenize,
        "x-queue-time": timings.queue,
        "x-inference-time": timings.forward,
    }
    response = reply(body)
    response.headers.update({name: str(round(each * 1e3)) for name, each in seconds.items()})
    response.headers["x-compute-tokens"] = str(embeddings.tokens)
    response.headers["x-compute-characters"] = str(sum(map(len, inputs)))
    return response
