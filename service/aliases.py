"""Further names of models, for clients that cannot be told another one: ``EMBED_MODEL_ALIASES``."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from service.errors import BadSetting

Vocabulary = Literal["own", "cl100k"]

#: What may stand behind the name of a model.
SUFFIXES: dict[str, Vocabulary] = {":own": "own", ":cl100k": "cl100k"}


class Alias(NamedTuple):
    """What a name stands for.

    Args:
        model: the name of a model, or what EMBED_MODEL calls it.
        vocabulary: whose token ids a request with this name holds; None for what EMBED_TOKEN_IDS says.
    """

    model: str
    vocabulary: Vocabulary | None = None


def read(setting: str) -> dict[str, Alias]:
    """Return the aliases of ``NAME=MODEL,NAME=MODEL:cl100k``.

    Raises:
        BadSetting: one has another form, or a name occurs twice.
    """
    aliases: dict[str, Alias] = {}
    for entry in filter(None, map(str.strip, setting.split(","))):
        name, _, model = map(str.strip, entry.partition("="))
        suffix = next(filter(model.endswith, SUFFIXES), "")
        alias = Alias(model.removesuffix(suffix), SUFFIXES.get(suffix))
        if not name or not alias.model:
            raise BadSetting(f"EMBED_MODEL_ALIASES: {entry!r}: give NAME=MODEL, NAME=MODEL:own or NAME=MODEL:cl100k")
        if aliases.setdefault(name, alias) != alias:
            raise BadSetting(f"EMBED_MODEL_ALIASES: {entry!r}: {name} is another alias already; give each name once")
    return aliases


def resolve(aliases: Mapping[str, Alias], models: Mapping[str, str], reranker: str | None = None) -> dict[str, str]:
    """Return the name of the model that each alias stands for.

    Args:
        aliases: as ``read`` returns them.
        models: the name of each model, by what EMBED_MODEL calls it.
        reranker: the name of the model that EMBED_RERANK_MODEL names.

    Raises:
        BadSetting: two models have one name, an alias has a model's, or it stands for none of them.
    """
    names = list(models.values())
    if reranker in {*names, *aliases}:
        raise BadSetting(f"EMBED_RERANK_MODEL: {reranker} is the name of another model or an alias; rename one")
    for name in names:
        if names.count(name) > 1:
            raise BadSetting(f"EMBED_MODEL: two models are called {name}; rename the directory of one")
        if name in aliases:
            raise BadSetting(f"EMBED_MODEL_ALIASES: {name} is the name of a model; give the alias another one")
    resolved = {name: models.get(alias.model, alias.model) for name, alias in aliases.items()}
    for name, model in resolved.items():
        if model not in names:
            served = ", ".join(names)
            raise BadSetting(f"EMBED_MODEL_ALIASES: {name}={model}: there is no such model; EMBED_MODEL has {served}")
    return resolved
