"""The files of a model: those that its loader reads, and whether it can read them."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

import msgspec

from service.errors import ModelUnusable

T = TypeVar("T")

#: Weights, settings and vocabularies, by the names that sentence-transformers and transformers give them.
READ = (
    *("*.safetensors", "*.bin", "*.json", "*.jinja"),
    *("*.model", "*.spm", "*.codes", "*.tiktoken", "vocab*.txt", "merges*.txt", "dict*.txt"),
)

#: Written by a training beside the model, and read by no loader.
NOT_READ = (".*", "training_args.bin", "optimizer*.bin", "scheduler.bin", "trainer_state.json", "*_results.json")

#: Begins the file that a clone without Git LFS has in place of a large one.
POINTER = b"version https://git-lfs.github.com/spec/v1"


class Module(msgspec.Struct):
    """An entry of ``modules.json``."""

    path: str = ""


class Router(msgspec.Struct):
    """A module that has modules of its own, in folders beside its configuration."""

    types: dict[str, str] = {}


def find(directory: Path) -> list[str]:
    """Return the names of the files that a loader of the model in ``directory`` reads, relative to it.

    Other files there, such as ``.git/``, logs and checkpoints, are not part of the model.

    Raises:
        OSError: a folder cannot be read.
        ModelUnusable: ``modules.json`` is damaged.
    """
    return sorted(name for folder in _folders(directory) for name in _find_in(directory, folder))


def check(directory: Path) -> None:
    """Check that each file can be read and is the file itself.

    Raises:
        ModelUnusable: one is not; the message names it.
    """
    try:
        for name in find(directory):
            with (directory / name).open("rb") as file:
                if file.read(len(POINTER)) == POINTER:
                    raise ModelUnusable(
                        f"{directory / name} is a Git LFS pointer, not the file itself; "
                        f"run `git lfs pull` in {directory}"
                    )
    except OSError as error:
        raise explain(error) from None


def explain(error: OSError) -> ModelUnusable:
    """Return the error to raise when a file of a model cannot be read."""
    advice = f"; let the service's user, {os.geteuid()}, read it" if isinstance(error, PermissionError) else ""
    return ModelUnusable(f"{error.filename} cannot be read: {error.strerror}{advice}")


def _folders(directory: Path) -> list[str]:
    """Return the folders of the model's modules; the model's own, "", is always one."""
    modules = directory / "modules.json"
    try:
        found = _decode(modules, list[Module]) or []
    except msgspec.DecodeError as error:
        raise ModelUnusable(f"{modules} is damaged: {error}") from None
    folders = dict.fromkeys(["", "additional_chat_templates", *(module.path for module in found)])
    nested = [f"{folder}/{name}".lstrip("/") for folder in folders for name in _routes(directory / folder)]
    return [*folders, *nested]


def _routes(folder: Path) -> Iterator[str]:
    for name in ("router_config.json", "config.json"):  # the second in older models
        try:
            yield from (_decode(folder / name, Router) or Router()).types
        except msgspec.DecodeError:
            continue


def _decode(path: Path, shape: type[T]) -> T | None:
    """Return what ``path`` holds, or None if it is not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _find_in(directory: Path, folder: str) -> list[str]:
    try:
        entries = list(os.scandir(directory / folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = [entry.name for entry in entries if _is_read(entry.name) and not entry.is_dir()]
    if any(name.endswith(".safetensors") for name in names):  # then the loaders leave the older form alone
        names = [name for name in names if not name.endswith(".bin")]
    return [os.path.join(folder, name) for name in names]  # noqa: PTH118  # a name, not a path


def _is_read(name: str) -> bool:
    return any(fnmatch(name, read) for read in READ) and not any(fnmatch(name, other) for other in NOT_READ)
