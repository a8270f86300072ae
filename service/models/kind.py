"""Which kind of model a directory holds, by its JSON files; only one that gives a dense vector per text is served."""

from pathlib import Path
from typing import Any

import msgspec

from service.errors import ModelUnusable

SERVED = "SentenceTransformer"

#: What the other kinds give, and the packages of sentence-transformers that their modules come from.
OTHERS = {
    "CrossEncoder": ("scores for pairs of texts", ".cross_encoder."),
    "SparseEncoder": ("sparse vectors", ".sparse_encoder."),
    "MultiVectorEncoder": ("a vector for each token", ".multi_vector_encoder."),
}


def check(directory: Path) -> None:
    """Refuse a model that is loaded without complaint and yet does not embed texts.

    Raises:
        ModelUnusable: it is a reranker, a sparse encoder, a late-interaction model or of a kind not known here.
    """
    kind = _find_kind(directory)
    if kind != SERVED:
        gives, _ = OTHERS.get(kind, ("something else", ""))
        raise ModelUnusable(
            f"{directory} is a {kind}, which gives {gives}; serve a {SERVED} model, which gives one dense vector a text"
        )


def _find_kind(directory: Path) -> str:
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
        return "CrossEncoder"
    return "MultiVectorEncoder" if any("colbert" in name.lower() for name in names or []) else SERVED


def _read(path: Path) -> Any:
    """Return what a JSON file holds; None without one, or if it is damaged, which loading it complains of."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
