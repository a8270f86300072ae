"""What clients send as texts: strings, token ids, and objects that hold a text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from flask import current_app

from service.api import cl100k
from service.api.choices import Text
from service.engine.model import Input, Model
from service.errors import Empty, InvalidInput

Item = str | int | list[int] | Text
Inputs = str | list[Item]

#: Whose token ids a list of numbers holds.
Vocabulary = Literal["auto", "own", "cl100k"]


#: Of cl100k_base in a request, as many as OpenAI takes. One id may stand for 128 spaces: 32 MiB of ids became 716 MB.
MAX_TOKEN_IDS = 300_000


def flatten(given: str | Sequence[Item], field: str = "input") -> list[Input]:
    """Return texts and lists of token ids, 1 to EMBED_MAX_INPUTS of them.

    Raises:
        Empty: there are none, or an item has no token ids.
        InvalidInput: there are too many, or numbers stand among texts.
    """
    if isinstance(given, str):
        return [given]
    if not given:
        raise Empty(f"{field} is an empty list; send at least one text", field)
    if all(isinstance(each, int) for each in given):
        return [given]  # type: ignore[list-item]  # checked above
    check_count(len(given), field)
    return [_item(each, field, index) for index, each in enumerate(given)]


def check_count(texts: int, field: str) -> None:
    """Check how many texts a request has.

    Raises:
        InvalidInput: there are more than EMBED_MAX_INPUTS.
    """
    limit = current_app.config["MAX_INPUTS"]
    if texts > limit:
        raise InvalidInput(f"{field} has {texts} texts; send at most {limit} at a time", field)


def find_vocabulary(model: str | None) -> Vocabulary:
    """Return whose token ids a request for ``model`` holds: what its alias says, else EMBED_TOKEN_IDS."""
    alias = current_app.config["ALIASES"].get(model)
    vocabulary: Vocabulary = (alias and alias.vocabulary) or current_app.config["TOKEN_IDS"]
    return vocabulary


def translate(items: list[Input], model: Model, vocabulary: Vocabulary) -> list[Input]:
    """Turn token ids of cl100k_base, which LangChain sends whatever the model is called, into text.

    With ``auto``, ids are the model's own if the special tokens that it puts around a text stand around them; all
    others are of cl100k_base. The ids alone do not tell: small ones mean something in every vocabulary.

    Raises:
        InvalidInput: that vocabulary is not installed or lacks an id, or there are too many ids.
    """
    if vocabulary == "own" or all(isinstance(each, str) for each in items):
        return items
    count = sum(len(each) for each in items if not isinstance(each, str))
    if count > MAX_TOKEN_IDS:
        raise InvalidInput(f"input has {count} token ids; send at most {MAX_TOKEN_IDS} at a time", "input")
    ends = _ends(model) if vocabulary == "auto" else None
    return [
        each if isinstance(each, str) or (ends and (each[0], each[-1]) == ends) else _decode(each, index)
        for index, each in enumerate(items)
    ]


@contextmanager
def naming(names: Sequence[str]) -> Iterator[None]:
    """Name the item of an error as the caller does, such as ``texts[3]``; the engine says ``input[3]``."""
    try:
        yield
    except InvalidInput as error:
        if error.index is None:
            raise
        name = names[error.index]
        message = str(error).replace(f"input[{error.index}]", name, 1)
        raise type(error)(message, name.partition("[")[0], error.index) from None


def _item(each: Item, field: str, index: int) -> Input:
    if isinstance(each, Text):
        return each.text
    if isinstance(each, int):
        raise InvalidInput(f"{field}[{index}]: expected a text, got a number", field, index)
    if not each and isinstance(each, list):
        raise Empty(f"{field}[{index}] is an empty list of token ids; send at least one", field, index)
    return each


def _ends(model: Model) -> tuple[int, int] | None:
    """Return the special tokens before and after a text; None if the model does not put both."""
    pieces = model.pieces("")
    return (pieces[0].id, pieces[-1].id) if len(pieces) > 1 else None


def _decode(ids: Input, index: int) -> str:
    if not cl100k.is_installed():
        raise InvalidInput(
            f"input[{index}] holds token ids, which count as those of cl100k_base, and this service lacks that "
            "vocabulary: send texts (in LangChain, check_embedding_ctx_length=False), install the extra cl100k, or set "
            "EMBED_TOKEN_IDS=own if the ids are of the model's own vocabulary",
            "input",
            index,
        )
    try:
        return cl100k.decode(ids)  # type: ignore[arg-type]  # no text comes here
    except InvalidInput as error:
        raise InvalidInput(f"input[{index}]: {error}", "input", index) from None
