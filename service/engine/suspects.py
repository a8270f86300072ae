"""Texts that were computed when a process ended: the next one is careful with them."""

import logging
import mmap
import os
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import msgspec

from service.engine.model import TokenIds

log = logging.getLogger(__name__)

DIGEST_BYTES = 16

#: Of a larger batch the rest is not remembered.
MAX_TEXTS = 1024

#: The model, the machine or the driver may have been mended since.
FORGET_SECONDS = 3600.0

#: What is cleared is written no more often, and at the last: to replace a file takes a disk some milliseconds.
WRITE_SECONDS = 1.0

#: How many texts run, and whether they hang.
HEADER = struct.Struct("II")


class Notes(msgspec.Struct):
    """What is kept beside the record: texts, by digest, and since when each is suspected or refused."""

    suspects: dict[str, float]
    guilty: dict[str, float]


class Suspects:
    """Remembers on disk which texts run, and learns from what an earlier process left there.

    A text that hung alone is guilty: it is not computed again. Texts that shared a batch when a process hung, and those
    that ran when it was killed, are suspects: each is computed alone. A kill proves nothing, since the kernel and
    operators kill too. ``person``, of at most 16 bytes, tells one model's texts from another's.

    Args:
        path: a file of this process's place, such as its worker number; its directory must exist. Beside it PATH.json
            has what was learnt, without what an hour has made old or a forward has cleared.
        blames_kills: whether a suspect that was computed alone when a process was killed is guilty.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, *, blames_kills: bool = False) -> None:
        self._notes = path.with_name(f"{path.name}.json")
        self._blames_kills = blames_kills
        self._suspects: dict[str, float] = {}
        self._guilty: dict[str, float] = {}
        self._next_write = 0.0
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Not ftruncate: to write to a page for which the disk has no room ends the process.
            os.posix_fallocate(file, 0, HEADER.size + MAX_TEXTS * DIGEST_BYTES)
            self._running = mmap.mmap(file, 0)
        finally:
            os.close(file)
        self._learn()

    def __bool__(self) -> bool:
        return bool(self._suspects) or any(map(_is_recent, self._guilty.values()))

    def is_suspect(self, text: TokenIds, person: bytes = b"") -> bool:
        """Tell whether this text must be computed alone."""
        return _digest(text, person).hex() in self._suspects

    def is_guilty(self, text: TokenIds, person: bytes = b"") -> bool:
        """Tell whether this text must not be computed."""
        return _is_recent(self._guilty.get(_digest(text, person).hex(), 0.0))

    def begin(self, texts: Sequence[TokenIds], person: bytes = b"") -> None:
        """Note that these texts run now."""
        digests = b"".join(_digest(text, person) for text in texts[:MAX_TEXTS])
        self._running[HEADER.size : HEADER.size + len(digests)] = digests
        self._running[: HEADER.size] = HEADER.pack(len(digests) // DIGEST_BYTES, 0)

    def end(self, texts: Sequence[TokenIds], person: bytes = b"") -> None:
        """Note that they are done, which clears one that was computed alone."""
        self._running[: HEADER.size] = HEADER.pack(0, 0)
        if self._suspects and len(texts) == 1:
            self._clear(_digest(texts[0], person).hex())

    def accuse(self) -> None:
        """Note that what runs now hangs; this process is about to end."""
        self._running[: HEADER.size] = HEADER.pack(HEADER.unpack(self._running[: HEADER.size])[0], 1)

    def _learn(self) -> None:
        known = self._read()
        count, hung = HEADER.unpack(self._running[: HEADER.size])
        digests = self._running[HEADER.size : HEADER.size + count * DIGEST_BYTES]
        running = {digests[i : i + DIGEST_BYTES].hex() for i in range(0, len(digests), DIGEST_BYTES)}
        killed = self._blames_kills and running <= known.suspects.keys()
        self._suspects, self._guilty = _recent(known.suspects), _recent(known.guilty)
        if not running:
            return
        if len(running) == 1 and (hung or killed):
            if hung:
                log.error("a text hung in this worker's predecessor: it will be refused for an hour")
            else:
                log.error("a text ended two processes: it will be refused for an hour")
            self._guilty |= dict.fromkeys(running, time.time())
            for text in running:
                self._suspects.pop(text, None)
        else:
            log.warning("this worker's predecessor ended in a batch: its %d texts will be computed alone", len(running))
            self._suspects |= dict.fromkeys(running, time.time())
        self._running[: HEADER.size] = HEADER.pack(0, 0)
        self._write()

    def _clear(self, text: str) -> None:
        if self._suspects.pop(text, None) is None or (self._suspects and time.monotonic() < self._next_write):
            return
        self._next_write = time.monotonic() + WRITE_SECONDS
        with suppress(OSError):
            if self._notes.exists():  # what an operator removed stays removed
                self._write()

    def _read(self) -> Notes:
        try:
            return msgspec.json.decode(self._notes.read_bytes(), type=Notes)
        except (OSError, ValueError):  # none yet, damaged, or of an earlier release
            return Notes({}, {})

    def _write(self) -> None:
        new = self._notes.with_name(f"{self._notes.name}.new")
        with suppress(OSError):  # a full disk: what was written before stays
            new.write_bytes(msgspec.json.encode(Notes(self._suspects, self._guilty)))
            new.replace(self._notes)


def _digest(text: TokenIds, person: bytes) -> bytes:
    return blake2b(text.tobytes(), digest_size=DIGEST_BYTES, person=person).digest()


def _recent(texts: dict[str, float]) -> dict[str, float]:
    return {text: since for text, since in texts.items() if _is_recent(since)}


def _is_recent(since: float) -> bool:
    return time.time() - since < FORGET_SECONDS
