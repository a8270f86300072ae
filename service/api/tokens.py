"""``POST /tokenize`` and ``/decode``: texts to tokens and back, as Text Embeddings Inference answers them."""

from operator import itemgetter
from typing import ClassVar

import msgspec
import orjson
from flask import Blueprint, Response

from service.api import contract, faults
from service.api.choices import find_prompt
from service.api.inputs import flatten
from service.api.tei_errors import STATUS, Refusal, describe_error
from service.api.wire import engine, read, reply
from service.engine.model import Input, Model, Token
from service.errors import Empty, InvalidInput, UnknownModel

#: Of one text, and of all in a request. Texts are not cut here: a character takes 150 bytes of the tokenizer's memory.
MAX_CHARACTERS = (100_000, 1_000_000)

#: Decoding holds the GIL for 1.8 us a token.
MAX_IDS = (25_000, 250_000)

routes = Blueprint("tokens", __name__)
refuse = faults.register(routes, STATUS, describe_error)
contract.errors(routes, STATUS, Refusal)


class Tokenize(msgspec.Struct):
    """A request for the tokens of texts: other members are ignored, null counts as absent."""

    HINTS: ClassVar = {"inputs": "; send a string or a list of strings"}

    inputs: str | list[str]
    add_special_tokens: bool | None = None
    prompt_name: str | None = None
    model: str | None = None


class Decode(msgspec.Struct):
    """A request for the texts of token ids, which are the model's own."""

    HINTS: ClassVar = {"ids": "; send a list of token ids, or several lists"}

    ids: list[int | list[int]]
    skip_special_tokens: bool | None = None
    model: str | None = None


class Piece(msgspec.Struct):
    """A token; ``start`` and ``stop`` are characters of the text, null for what the tokenizer added."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


@routes.post("/tokenize")
@contract.view(
    body=Tokenize,
    answer=list[list[Piece]],
    examples={"texts": {"inputs": ["Hello, world", "你好"]}},
    raises=[*contract.READING, Empty, UnknownModel],
)
def tokenize() -> Response:
    """Return the tokens of texts, those of the prompt before them."""
    body = read(Tokenize)
    model = engine(body.model).model
    prompt = find_prompt(model, body.prompt_name)
    if prompt is None:
        prompt = model.prompts[model.default_prompt] if model.default_prompt else ""
    texts = flatten(body.inputs, "inputs")
    check_sizes("inputs", [len(each) for each in texts], "characters", *MAX_CHARACTERS)
    special = body.add_special_tokens is not False
    return reply([write(model.pieces(str(each), special_tokens=special, prompt=prompt)) for each in texts])


@routes.post("/decode")
@contract.view(
    body=Decode,
    answer=list[str],
    examples={"token ids": {"ids": [[7592, 1010, 2088]]}},
    raises=[*contract.READING, Empty, UnknownModel],
)
def decode() -> Response:
    """Return the texts of lists of token ids."""
    body = read(Decode)
    model = engine(body.model).model
    lists = flatten(body.ids, "ids")
    check_sizes("ids", [len(each) for each in lists], "token ids", *MAX_IDS)
    skip = body.skip_special_tokens is not False
    return reply([decode_ids(model, each, index, skip=skip) for index, each in enumerate(lists)])


def check_sizes(field: str, sizes: list[int], unit: str, most: int, most_in_all: int) -> None:
    """Check how long the items of a request are.

    Raises:
        InvalidInput: one is too long, or all together.
    """
    index, size = max(enumerate(sizes), key=itemgetter(1))
    if size > most:
        raise InvalidInput(f"{field}[{index}] has {size} {unit}; send at most {most} as one text", field, index)
    if sum(sizes) > most_in_all:
        raise InvalidInput(f"{field} has {sum(sizes)} {unit}; send at most {most_in_all} at a time", field)


def write(tokens: list[Token]) -> orjson.Fragment:
    """Return the JSON of a text's tokens, which takes less memory than they do."""
    return orjson.Fragment(orjson.dumps([each._asdict() for each in tokens]))


def decode_ids(model: Model, ids: Input, index: int, *, skip: bool) -> str:
    """Return the text of one list."""
    try:
        return model.decode(ids, skip_special_tokens=skip)  # type: ignore[arg-type]  # no text comes here
    except InvalidInput as error:
        raise InvalidInput(f"ids[{index}]: {error}", "ids", index) from None
