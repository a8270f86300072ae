"""What requests of all dialects may choose: the prompt, where a text is cut, the size of a vector."""

from typing import Literal, NamedTuple

import orjson
from flask import current_app

from service.engine.model import Model, Side
from service.errors import InvalidInput

#: By the first word of an ``input_type`` or ``task``: prompts that mean it, as sentence-transformers looks for them.
#: https://sbert.net/docs/package_reference/sentence_transformer/SentenceTransformer.html (encode_query)
PURPOSES = {
    "query": ("query",),
    "search_query": ("query",),
    "retrieval.query": ("query",),
    "document": ("document", "passage", "corpus"),
    "search_document": ("document", "passage", "corpus"),
    "passage": ("document", "passage", "corpus"),
    "retrieval.passage": ("document", "passage", "corpus"),
}

#: EMBED_TRUNCATE, and how Cohere's clients say the same.
Truncate = bool | Literal["auto", "left", "right", "off", "START", "END", "NONE"]
SIDES: dict[object, Side] = {"left": "left", "right": "right", "START": "left", "END": "right"}


class Cut(NamedTuple):
    """Where a text that is too long is cut, None for the model's own side, and whether it is refused instead."""

    side: Side | None
    refuse: bool


def find_prompt(model: Model, name: str | None, purpose: str | None = None) -> str | None:
    """Return the prompt of a request; None for the model's default.

    Args:
        model: has the prompts.
        name: one of them.
        purpose: what the texts are for, such as ``query``; one that the model has no prompt for changes nothing.

    Raises:
        InvalidInput: the model has no prompt of this name.
    """
    if name:
        if name not in model.prompts:
            known = f"Available prompts: {orjson.dumps(list(model.prompts)).decode()}"  # clients of TEI look for it
            raise InvalidInput(f"prompt_name: {model.name} has no prompt {name[:50]!r}. {known}", "prompt_name")
        return model.prompts[name]
    names = PURPOSES.get(purpose or "", (purpose or "",))
    return next((model.prompts[each] for each in names if each in model.prompts), None)


def decide_cut(truncate: Truncate | None = None, side: Side | None = None) -> Cut:
    """Return what becomes of long texts.

    Args:
        truncate: whether, or where, they are cut; None takes EMBED_TRUNCATE.
        side: where they are cut, unless ``truncate`` says it.
    """
    default: Truncate = current_app.config["TRUNCATE"]
    chosen = default if truncate is None else truncate
    if truncate is True and default != "off":
        chosen = default
    own = None if side and truncate in {None, True} else SIDES.get(chosen)
    return Cut(own or side, chosen in {False, "off", "NONE"})
