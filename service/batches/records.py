"""Records: structs as JSON files of a directory, each written aside, then renamed."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from service.errors import Missing

#: As ``new_id`` makes them: no name of a file but ours.
ID = re.compile("(file-|batch_)[0-9a-f]{32}")

#: Members that clients are not shown.
PRIVATE = {"owner", "output_expires_after"}


class Record(Protocol):
    """What every record has.

    Args:
        id: unique; of two records the later one has the greater id.
        owner: the name of the API key that made it; "" without keys.
        created_at: Unix time in seconds.
    """

    id: str
    owner: str
    created_at: int


Kept = TypeVar("Kept", bound=Record)


class Records(Generic[Kept]):
    """The records of one kind.

    Args:
        directory: has a file for each.
        shape: their type.
    """

    def __init__(self, directory: Path, shape: type[Kept]) -> None:
        self.directory = directory
        self._shape = shape

    def write(self, record: Kept) -> None:
        """Put a record in the place of an earlier one."""
        aside = self.directory / f".{record.id}.{secrets.token_hex(4)}.tmp"
        with aside.open("wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self._path(record.id))

    def find(self, name: str, owner: str | None = None) -> Kept:
        """Return the record of this id.

        Raises:
            Missing: there is none, or it belongs to somebody else; None stands for whoever runs the service.
        """
        record = self._read(self._path(name)) if ID.fullmatch(name) else None
        if record is None or owner not in {None, record.owner}:
            raise Missing(f"there is no {name[:60]!r} here", "id")
        return record

    def every(self, owner: str | None = None) -> list[Kept]:
        """Return the records of an owner, the newest first."""
        found = [record for record in self._all() if owner in {None, record.owner}]
        return sorted(found, key=lambda record: (record.created_at, record.id), reverse=True)

    def remove(self, name: str) -> None:
        """Forget a record."""
        self._path(name).unlink(missing_ok=True)

    def _all(self) -> Iterator[Kept]:
        for path in self.directory.glob("*.json"):
            if record := self._read(path):
                yield record

    def _read(self, path: Path) -> Kept | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=self._shape)
        except FileNotFoundError:
            return None

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def show(record: Record) -> dict[str, Any]:
    """Return the members that clients know."""
    shown: dict[str, Any] = msgspec.to_builtins(record)
    return {name: value for name, value in shown.items() if name not in PRIVATE}


def new_id(prefix: str) -> str:
    """Return an id that nobody can guess: the time comes first."""
    return f"{prefix}{time.time_ns():016x}{secrets.token_hex(8)}"
