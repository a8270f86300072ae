"""The directory of files and batches: ``EMBED_BATCHES``."""

import fcntl
import os
from pathlib import Path

from service.batches.batch import Batches
from service.batches.files import Files
from service.errors import BadSetting

#: Held by the process that watches the directory, and by the one that runs a batch.
LOCK, RUN_LOCK = "lock", "run.lock"


class Store:
    """Files and batches, and locks that only one process can have.

    Args:
        root: made if it is not there.
        max_bytes: of everything in it.
        kept_seconds: of files, and of batches that are over.

    Raises:
        BadSetting: the directory cannot be used.
    """

    def __init__(self, root: Path, max_bytes: int, kept_seconds: int) -> None:
        self.root = root
        try:
            for name in ("files", "batches", "work"):
                (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            (root / LOCK).touch()
        except OSError as error:
            raise BadSetting(f"EMBED_BATCHES={root}: {error.strerror}") from None
        self.files = Files(root, max_bytes, kept_seconds)
        self.batches = Batches(root, kept_seconds)

    def sweep(self) -> None:
        """Remove what has expired."""
        self.files.sweep()
        self.batches.sweep()

    def lock(self, name: str, *, wait: bool) -> bool:
        """Take a lock until this process ends; return whether it has it."""
        file = os.open(self.root / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            return False
        return True
