"""The results of one model in a cache: each is found again by its text, before that is tokenised."""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from service.engine.cache import Cache
from service.engine.model import Input, Model, Pair, Reading

#: CRC-32 of the rest, which takes 1 us of 1.5 KB where BLAKE2 takes 9; the key; how long the vector is, in bytes; how
#: many tokens were read; whether the text was cut.
HEADER = struct.Struct("<I32sII?")
CHECKSUM_BYTES = 4

#: Of a key: nobody finds two texts with the same one.
KEY_BYTES = 32


class Result(NamedTuple):
    """What the model made of a text.

    Args:
        vector: float32 of shape (dimension,), neither normalised nor cut.
        tokens: how many tokens the model read.
        is_cut: whether the text is longer than that.
    """

    vector: npt.NDArray[np.float32]
    tokens: int
    is_cut: bool


class Results:
    """What a model computed before.

    An entry holds its key, its length and a checksum: one that is torn, or is another text's, is not served.

    Args:
        cache: keeps the entries.
        model: made them, and can tell them from those of others.
    """

    def __init__(self, cache: Cache, model: Model) -> None:
        self._cache = cache
        self._size = model.dimension * np.dtype(np.float32).itemsize
        self._seed = f"{model.fingerprint} {model.backend}".encode()

    def keys(self, inputs: Sequence[Input], reading: Reading) -> list[bytes]:
        """Return what each input is found by, if it is read like this."""
        seed = blake2b(self._seed + repr(tuple(reading)).encode(errors="surrogatepass")).digest()
        return [blake2b(_bytes_of(each), digest_size=KEY_BYTES, key=seed).digest() for each in inputs]

    def get(self, key: bytes) -> Result | None:
        """Return the result of a key; None if there is none, or no whole one."""
        entry = self._cache.get(key)
        if entry is None or len(entry) != HEADER.size + self._size:
            return None
        checksum, own, size, tokens, is_cut = HEADER.unpack_from(entry)
        if own != key or size != self._size or crc32(memoryview(entry)[CHECKSUM_BYTES:]) != checksum:
            return None
        return Result(np.frombuffer(entry, np.float32, offset=HEADER.size), tokens, is_cut)

    def put(self, key: bytes, result: Result) -> None:
        """Keep a result."""
        header = HEADER.pack(0, key, self._size, result.tokens, result.is_cut)[CHECKSUM_BYTES:]
        body = header + result.vector.tobytes()
        self._cache.put(key, crc32(body).to_bytes(CHECKSUM_BYTES, "little") + body)


def _bytes_of(each: Input) -> bytes:
    """Return bytes that no other input has."""
    if isinstance(each, str):
        return b"text " + each.encode(errors="surrogatepass")
    if isinstance(each, Pair):
        return b"pair %d " % len(each[0]) + "".join(each).encode(errors="surrogatepass")
    return b"ids " + b" ".join(b"%d" % number for number in each)
