"""Records: structs as JSON files of a directory, each written aside, then renamed."""

import logging
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from service.bulk import disk
from service.errors import Missing

log = logging.getLogger(__name__)

#: As ``new_id`` makes them: no name of a file but ours.
ID = re.compile("(file-|batch_)[0-9a-f]{32}")

#: What has not changed for so long was left by a process that was killed.
STALE_SECONDS = 3600

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
        self._damaged: set[Path] = set()

    def write(self, record: Kept) -> None:
        """Put a record in the place of an earlier one, for good.

        Raises:
            OSError: the disk is full, say; nothing is left.
        """
        disk.write(self._path(record.id), msgspec.json.encode(record))

    def find(self, record_id: str, owner: str | None = None) -> Kept:
        """Return the record of this id.

        Raises:
            Missing: there is none, or it belongs to somebody else; None stands for whoever runs the service.
        """
        record = self._read(self._path(record_id)) if ID.fullmatch(record_id) else None
        if record is None or owner not in {None, record.owner}:
            raise Missing(f"there is no {record_id[:60]!r} here", "id")
        return record

    def every(self, owner: str | None = None) -> list[Kept]:
        """Return the records of an owner, the newest first."""
        found = [record for record in self._all() if owner in {None, record.owner}]
        return sorted(found, key=by_age, reverse=True)

    def remove(self, record_id: str) -> None:
        """Forget a record."""
        self._path(record_id).unlink(missing_ok=True)

    def exists(self, record_id: str) -> bool:
        """Tell whether there is a record of this id, be it damaged."""
        return self._path(record_id).exists()

    def _all(self) -> Iterator[Kept]:
        for path in self.directory.glob("*.json"):
            if record := self._read(path):
                yield record

    def _read(self, path: Path) -> Kept | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=self._shape)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # bad UTF-8 is the latter: jcrist/msgspec#714
            if path not in self._damaged:
                self._damaged.add(path)
                log.error("%s is damaged and left out: %s", path, error)  # noqa: TRY400  # a line for an operator
            return None

    def _path(self, record_id: str) -> Path:
        return self.directory / f"{record_id}.json"


def is_stale(path: Path) -> bool:
    """Tell whether nobody writes this any more."""
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


def by_age(record: Record) -> tuple[int, str]:
    """Return what sorts records, the oldest first."""
    return record.created_at, record.id


def show(record: Record) -> dict[str, Any]:
    """Return the members that clients know."""
    shown: dict[str, Any] = msgspec.to_builtins(record)
    return {name: value for name, value in shown.items() if name not in PRIVATE}


def new_id(prefix: str) -> str:
    """Return an id that nobody can guess: the time comes first."""
    return f"{prefix}{time.time_ns():016x}{secrets.token_hex(8)}"
