"""The disk: a file is written aside, then renamed, so that one that has its name is whole, and stays."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Put a small file in the place of an earlier one.

    Raises:
        OSError: the disk is full, say; nothing is left.
    """
    try:
        with aside(path).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(path)
    finally:
        aside(path).unlink(missing_ok=True)


def aside(path: Path) -> Path:
    """Return where a file is written until it is finished: each process of each machine has its own place."""
    return path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")


def publish(path: Path) -> None:
    """Give a file that was written aside its name, for good."""
    aside(path).rename(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
