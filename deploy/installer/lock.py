"""One run at a time: two would build in the same directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .machine import Refused


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that ends with this process.

    Raises:
        Refused: another process holds it.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another deploy/install is running; wait until it has ended") from None
        yield
