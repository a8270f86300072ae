"""What the workers of an instance computed, in uWSGI's shared memory: it outlives each of them."""

from collections.abc import Callable
from hashlib import blake2b

from service.hosting import uwsgi

#: As in uwsgi.ini: the bytes of an item: 384 components and what is stored with them.
BLOCK_BYTES = 1600
NAME = "embeddings"

Get = Callable[[bytes, str], bytes | None]
Put = Callable[[bytes, bytes, str], None]


class SharedCache:
    """Values in uWSGI's cache ``embeddings``, a longer one in several items.

    uWSGI copies an item under a lock, but not all items of a value under one: what is read may be torn.

    Args:
        release: what was put in by another release is not found, since a rolling reload may bring one.
        get: reads an item.
        put: writes one.
    """

    def __init__(self, release: str, get: Get = uwsgi.cache_get, put: Put = uwsgi.cache_put) -> None:
        self._release = blake2b(release.encode(), digest_size=8).digest()
        self._get = get
        self._put = put

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key of at most 48 bytes; None if it is not there."""
        key = self._release + key
        part = self._get(key, NAME)
        if part is None or len(part) < BLOCK_BYTES:
            return part
        parts = [part]
        while len(part) == BLOCK_BYTES and (part := self._get(key + _number(len(parts)), NAME)):
            parts.append(part)
        return b"".join(parts)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value until others need the room."""
        key = self._release + key
        for number, start in enumerate(range(0, len(value), BLOCK_BYTES)):
            self._put(key + _number(number) if number else key, value[start : start + BLOCK_BYTES], NAME)


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")
