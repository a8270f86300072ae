"""OpenAI's answers, for the document alone: views build them of numpy rows, which are faster to print."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Count = Annotated[int, Meta(ge=0)]


class Embedding(msgspec.Struct):
    """The vector of one text: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    embedding: list[float] | str
    index: Count


class Usage(msgspec.Struct):
    """The tokens that were read."""

    prompt_tokens: Count
    total_tokens: Count


class EmbeddingList(msgspec.Struct):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage
    #: The indices of the texts that were cut.
    truncated: list[Count] | UnsetType = UNSET


class ModelCard(msgspec.Struct):
    """A model or an alias, whose model is ``root``; ``revision`` is its commit if it is from the Hub."""

    id: str
    root: str
    object: Literal["model"]
    created: int
    owned_by: str
    model_type: Literal["embedding"]
    revision: str | None
    fingerprint: str
    dtype: str
    dimensions: int
    max_input_tokens: int | None
    prompts: dict[str, str]
    default_prompt: str | None


class ModelList(msgspec.Struct):
    """The models that are served."""

    object: Literal["list"]
    data: list[ModelCard]


class Complaint(msgspec.Struct):
    """An error, as Ollama and Weaviate tell of it."""

    error: str


class OpenAIError(msgspec.Struct):
    """What went wrong; ``param`` names the member to mend."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIRefusal(msgspec.Struct):
    """An error, with the members that Jina and Voyage clients read beside OpenAI's."""

    error: OpenAIError
    message: str
    detail: str
