"""Where results are kept, and those of one process."""

import threading
from typing import Protocol


class Cache(Protocol):
    """Keeps values for as long as it has room. Any thread may call it; what it returns may be torn."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if it is not there."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, if there can be room for it."""


class LocalCache:
    """A cache of this process, which forgets what was not used for longest.

    Args:
        max_bytes: of its values.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes = 0
        #: In the order of their last use.
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if it is not there."""
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
            return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, unless it is larger than all of the room."""
        if len(value) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._values.pop(next(iter(self._values))))
