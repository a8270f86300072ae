"""Which kind of model a directory holds, by its JSON files; two are served, each for a purpose of its own."""

from pathlib import Path
from typing import Any

import msgspec

from service.errors import ModelUnusable

SERVED = "SentenceTransformer"
RERANKER = "CrossEncoder"

#: What they give.
GIVES = {SERVED: "one dense vector a text", RERANKER: "a score a pair of texts"}

#: What the kinds other than ``SERVED`` give, and the packages of sentence-transformers that their modules come from.
OTHERS = {
    RERANKER: ("scores for pairs of texts", ".cross_encoder."),
    "SparseEncoder": ("sparse vectors", ".sparse_encoder."),
    "MultiVectorEncoder": ("a vector for each token", ".multi_vector_encoder."),
}


def check(directory: Path, wanted: str = SERVED) -> None:
    """Refuse a model that is loaded without complaint and yet does not do what is wanted.

    Raises:
        ModelUnusable: it is of another kind, such as a sparse encoder or a late-interaction model.
    """
    kind = find(directory)
    if kind != wanted:
        gives = GIVES[SERVED] if kind == SERVED else OTHERS.get(kind, ("something else", ""))[0]
        raise ModelUnusable(
            f"{directory} is a {kind}, which gives {gives}; serve a {wanted} model, which gives {GIVES[wanted]}"
        )


def find(directory: Path) -> str:
    """Return the kind of the model in ``directory``, by the name of its class in sentence-transformers."""
    modules = _read(directory / "modules.json")
    if modules is None:
        return _kind_of_architecture((_read(directory / "config.json") or {}).get("architectures"))
    types = [str(module.get("type")) for module in modules] if isinstance(modules, list) else []
    for kind, (_, package) in OTHERS.items():
        if any(package in each for each in types):
            return kind
    return str((_read(directory / "config_sentence_transformers.json") or {}).get("model_type", SERVED))


def _kind_of_architecture(names: list[str] | None) -> str:
    if any(name.endswith("ForSequenceClassification") for name in names or []):
        return RERANKER
    return "MultiVectorEncoder" if any("colbert" in name.lower() for name in names or []) else SERVED


def _read(path: Path) -> Any:
    """Return what a JSON file holds; None without one, or if it is damaged, which loading it complains of."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
