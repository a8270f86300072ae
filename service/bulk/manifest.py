"""The manifest of a directory of parts: what made them, and whether they are all there."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from service.bulk import disk
from service.errors import BulkChanged, BulkFailed

NAME = "_manifest.json"


class Part(msgspec.Struct, frozen=True):
    """A part in the manifest."""

    name: str
    first_row: int
    rows: int
    failed: int


class Manifest(msgspec.Struct, kw_only=True):
    """What a directory holds.

    Args:
        complete: whether every part is there; until then vectors are missing.
        model: the name of the model, for people.
        revision: its commit, if it is from the Hub.
        made_by: the fingerprint of the model and the options: what the vectors depend on.
        inputs: the files that were read.
        rows: how many all parts have.
        failed: how many of them have no vector.
        parts: in the order of the input.
    """

    complete: bool = False
    model: str
    revision: str | None
    made_by: dict[str, Any]
    inputs: list[str]
    rows: int = 0
    failed: int = 0
    parts: list[Part] = []

    def key(self) -> bytes:
        """Return 16 bytes that change with what the vectors depend on."""
        return blake2b(msgspec.json.encode(self.made_by, order="deterministic"), digest_size=16).digest()

    def write(self, directory: Path) -> None:
        """Put it in place of an earlier one."""
        disk.write(directory / NAME, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def read(directory: Path) -> Manifest | None:
    """Return the manifest, None if there is none.

    Raises:
        BulkFailed: it cannot be read.
    """
    path = directory / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest) if path.exists() else None
    except (msgspec.DecodeError, OSError) as error:
        raise BulkFailed(f"{path} cannot be read: {error}; --fresh begins anew") from None


def check(old: Manifest, new: Manifest, directory: Path) -> None:
    """Refuse to go on with other vectors than those that are there.

    Raises:
        BulkChanged: the model or an option has changed; the message says which.
    """
    changes = _changes(old.made_by, new.made_by)
    if "fingerprint" in changes:
        changes["fingerprint"] = f"of {old.model} {changes['fingerprint']} of {new.model}"
    if changes:
        told = "; ".join(f"{name}: {change}" for name, change in changes.items())
        raise BulkChanged(f"{directory} was made with something else: {told}. Take another --out, or --fresh")


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    names = dict.fromkeys([*new, *old])
    return {name: f"{_show(old, name)} -> {_show(new, name)}" for name in names if old.get(name) != new.get(name)}


def _show(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return str(value)[:12] if name == "fingerprint" else msgspec.json.encode(value).decode()
