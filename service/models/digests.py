"""The SHA-256 of files, computed again only when a file has changed."""

import hashlib
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

#: A file that changed less than this before it was looked at may change once more without a new time: ext4 counts in
#: ticks of 4 ms, FAT in steps of 2 s.
SETTLED_NS = 2 * 10**9


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A digest, and the file's state when it was computed: device, inode, size, mtime and ctime in nanoseconds.

    No program can set ctime, so a file of the same state is the same file. If the file was too young, the
    state is empty.
    """

    state: list[int]
    sha256: str


def compute(directory: Path, names: Iterable[str], memo: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file, by its name as UTF-8.

    Args:
        directory: holds the files.
        names: relative to it.
        memo: a file that remembers the digests. With one, 2 GB take no time; without, a second or two.

    Raises:
        OSError: a file cannot be read; ``filename`` says which.
    """
    known = _read(memo) if memo else {}
    labels = {_label(name): directory / name for name in names}
    entries = {label: _digest(path, known.get(label)) for label, path in labels.items()}
    if memo and entries != known:
        _write(memo, entries)
    return {label: entry.sha256 for label, entry in entries.items()}


def _label(name: str) -> str:
    """Return ``name`` as UTF-8, whatever the locale made of the file system's bytes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _digest(path: Path, known: Entry | None) -> Entry:
    now = time.time_ns()
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            state = [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            if known and known.state == state:
                return known
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed read names no file
        raise
    return Entry(state if now - stat.st_ctime_ns > SETTLED_NS else [], sha256)


def _read(memo: Path) -> dict[str, Entry]:
    try:
        return msgspec.json.decode(memo.read_bytes(), type=dict[str, Entry])
    except (OSError, msgspec.DecodeError):
        return {}


def _write(memo: Path, entries: dict[str, Entry]) -> None:
    """Replace ``memo`` in one step; on a disk that cannot be written the files are hashed each time."""
    draft = memo.with_name(f"{memo.name}.{os.getpid()}-{threading.get_ident()}")
    with suppress(OSError):
        draft.write_bytes(msgspec.json.encode(entries))
        draft.replace(memo)
    with suppress(OSError):
        draft.unlink()
