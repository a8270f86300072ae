"""The directory of all artifacts: one process builds at a time, and old artifacts are removed."""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import BadSetting
from service.models import files
from service.models.artifact import Artifact

#: Artifacts of one model name that are kept: the newest, the one to roll back to, and that of a release beside it. They
#: are ranked by last use and have no age: after months of service a rollback still finds the artifact that it needs.
MAX_KEPT = 3


def locate(setting: str) -> Path:
    """Return the directory that EMBED_CACHE_DIR names.

    Raises:
        BadSetting: it begins with ``~``, for which there is no home directory.
    """
    try:
        return Path(setting).expanduser()
    except RuntimeError:
        raise BadSetting(f"EMBED_CACHE_DIR={setting}: ~ stands for no directory here; give a full path") from None


@contextmanager
def lock(artifact: Artifact) -> Iterator[None]:
    """Let one process at a time build for this model name; the kernel unlocks what a dead process locked."""
    artifact.cache.mkdir(parents=True, exist_ok=True)
    with (artifact.cache / f".{artifact.stem}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def draft(artifact: Artifact) -> Iterator[Path]:
    """Yield the path of a directory to build in. Call with the lock held.

    Raises:
        OSError: the disk has no room for the artifact.
    """
    for left in _named(artifact, r"\.", r"\.draft-.*"):  # by a process that died
        shutil.rmtree(left, ignore_errors=True)
    _check_room(artifact)
    prefix = f".{artifact.directory.name}.draft-"
    with tempfile.TemporaryDirectory(dir=artifact.cache, prefix=prefix, ignore_cleanup_errors=True) as directory:
        yield Path(directory) / "artifact"


def prune(artifact: Artifact) -> None:
    """Remove the artifacts of this model name beyond the ``MAX_KEPT`` last used, except those in use.

    Call with the lock held.
    """
    ranked = sorted(_named(artifact), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in ranked[MAX_KEPT:]:
        with suppress(OSError):  # in use, or another user's
            _remove_unused(path)


def _remove_unused(path: Path) -> None:
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path.rename(path.with_name(f".{path.name}.draft-pruned")))  # no loader sees a half of it
    finally:
        os.close(held)


def _named(artifact: Artifact, before: str = "", after: str = "") -> list[Path]:
    pattern = re.compile(f"{before}{re.escape(artifact.stem)}-[0-9a-f]{{16}}{after}")
    return [path for path in artifact.cache.iterdir() if pattern.fullmatch(path.name)]


def _check_room(artifact: Artifact) -> None:
    directory = artifact.source.directory
    weights = sum((directory / name).stat().st_size for name in files.find(directory))
    needed, free = weights * 2 // 10**6, shutil.disk_usage(artifact.cache).free // 10**6
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed} MB are needed and {free} MB are free", str(artifact.cache))
