"""What requests of all dialects may choose: the prompt, where a text is cut, the size of a vector. Knows no HTTP."""

from typing import ClassVar, Literal, NamedTuple

import msgspec
import orjson

from service.api import outputs
from service.engine.model import Model, Reading, Side
from service.engine.options import Options
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


class Text(msgspec.Struct):
    """A text as Jina's clients send it."""

    text: str


class Cut(NamedTuple):
    """Where a text that is too long is cut, None for the model's own side, and whether it is refused instead."""

    side: Side | None
    refuse: bool


class Choices(msgspec.Struct, kw_only=True):
    """What OpenAI's requests for embeddings may choose, with what other clients add: null counts as absent."""

    HINTS: ClassVar[dict[str, str]] = {
        "encoding_format": "; send float or base64",
        "dimensions": "; send a positive integer, or leave it out for all",
        "output_dimension": "; send a positive integer, or leave it out for all",
        "modality": "; this service embeds texts only",
    }

    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    output_dimension: int | None = None
    output_dtype: outputs.Kind | None = None
    embedding_type: outputs.Kind | Literal["base64"] | None = None
    embed_dtype: Literal["float32", "float16"] | None = None
    prompt_name: str | None = None
    input_type: str | None = None
    task: str | None = None
    late_chunking: bool | None = None
    modality: Literal["text"] | None = None
    truncate: Truncate | None = None
    truncation: bool | None = None
    truncation_direction: Side | None = None
    normalized: bool | None = None

    def output(self) -> tuple[outputs.Kind, bool, bool]:
        """Return the kind of numbers, whether they come in base64, and whether those are of half precision."""
        kind = self.output_dtype or self.embedding_type or "float"
        base64 = "base64" in {self.encoding_format, self.embedding_type}
        return "float" if kind == "base64" else kind, base64, self.embed_dtype == "float16"

    def options(self, model: Model, default: Truncate) -> Options:
        """Return what the engine is asked for; ``default`` is EMBED_TRUNCATE.

        Raises:
            InvalidInput: late chunking is asked for, or a prompt that the model does not have.
        """
        if self.late_chunking:
            raise InvalidInput(
                "late_chunking: each text is embedded on its own here; send false, or leave it out", "late_chunking"
            )
        prompt = find_prompt(model, self.prompt_name, self.input_type or self.task)
        cut = decide_cut(
            default, self.truncation if self.truncate is None else self.truncate, self.truncation_direction
        )
        return Options(Reading(prompt, cut.side), self.dimensions or self.output_dimension, self.normalized, cut.refuse)


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


def decide_cut(default: Truncate, truncate: Truncate | None = None, side: Side | None = None) -> Cut:
    """Return what becomes of long texts.

    Args:
        default: EMBED_TRUNCATE.
        truncate: whether, or where, they are cut; None takes the default.
        side: where they are cut, unless ``truncate`` says it.
    """
    chosen = default if truncate is None else truncate
    if truncate is True and default != "off":
        chosen = default
    own = None if side and truncate in {None, True} else SIDES.get(chosen)
    return Cut(own or side, chosen in {False, "off", "NONE"})
