"""API keys: a file with the name and the SHA-256 of each. A key itself is printed once and never stored."""

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from service.errors import BadSetting, CommandFailed

log = logging.getLogger(__name__)

#: How often, at most, a file is looked at for changes.
CHECK_SECONDS = 1.0

#: A key may use what a minute gives it at once.
BURST_SECONDS = 60.0

NAME = r"[A-Za-z0-9._-]{1,64}"
LINE = re.compile(rf"({NAME})\s+([0-9a-fA-F]{{64}})(?:\s+([1-9][0-9]{{0,14}}))?")
EXPECTED = "NAME SHA256HEX or NAME SHA256HEX TOKENS_PER_MINUTE"

Stamp = tuple[int, int, int] | None


class Key(NamedTuple):
    """A line of the file; without ``tokens_per_minute`` a key has no limit."""

    name: str
    digest: str
    tokens_per_minute: int | None = None


class Keyring:
    """The keys of a file, which is read again when it changes; a broken file changes nothing.

    Raises:
        BadSetting: the file cannot be used.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._stamp = _stamp(path)
        self._keys = read(path)
        self._next_check = clock() + CHECK_SECONDS

    def find(self, key: str) -> Key | None:
        """Return the line of a key, in a time that does not depend on how much of it is right."""
        self._refresh()
        digest = _digest(key)
        found = None
        for line in self._keys:
            if hmac.compare_digest(line.digest, digest):
                found = line
        return found

    def _refresh(self) -> None:
        if self._clock() < self._next_check:
            return
        self._next_check = self._clock() + CHECK_SECONDS
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # before the file is read: a change in between is noticed the next time
        try:
            self._keys = read(self._path)
        except BadSetting as error:
            log.error("%s; the keys from before stay valid", error)  # noqa: TRY400  # one line for an operator
        else:
            log.info("read %d API keys", len(self._keys))


class Allowance:
    """The tokens that each key has left in this process, one of ``workers`` that share them evenly.

    A request may be larger than what is left; its key then waits until the debt is paid.
    """

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._lock = threading.Lock()
        #: When the tokens that a key has used are paid, by its digest.
        self._paid: dict[str, float] = {}

    def wait(self, key: Key) -> float:
        """Return the seconds until a key may be used; 0 if it may now."""
        return max(0.0, self._paid.get(key.digest, 0.0) - self._clock()) if key.tokens_per_minute else 0.0

    def spend(self, key: Key, tokens: int) -> None:
        """Count the tokens of a request."""
        if key.tokens_per_minute is None:
            return
        seconds = tokens * 60 * self._workers / key.tokens_per_minute
        with self._lock:
            full = self._clock() - BURST_SECONDS
            self._paid[key.digest] = max(self._paid.get(key.digest, full), full) + seconds


def read(path: str) -> tuple[Key, ...]:
    """Read a file of keys; empty lines and lines that begin with # are skipped.

    Raises:
        BadSetting: it cannot be read, or a line is no key. No message shows what is in it.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise _refuse("no such file; `python -m service keys new NAME` creates it") from None
    except OSError as error:
        raise _refuse(f"{error.strerror}; the service's user must be able to read it") from None
    except UnicodeDecodeError:
        raise _refuse("the file is not text in UTF-8") from None
    numbered = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return tuple(_parse(number, line) for number, line in numbered if line and not line.startswith("#"))


def create(path: str, name: str, tokens_per_minute: int | None) -> str:
    """Append a new key to a file, which is created if there is none, and return the key.

    Raises:
        BadSetting: the file cannot be used.
        CommandFailed: the name cannot be used, or the file not be written.
    """
    if not re.fullmatch(NAME, name):
        raise CommandFailed("the name of a key has 1 to 64 letters, digits, dots, hyphens and underscores")
    if Path(path).exists():
        read(path)
    key = f"emb_{secrets.token_urlsafe(32)}"
    words = [name, _digest(key), *([str(tokens_per_minute)] if tokens_per_minute else [])]
    try:
        _append(path, " ".join(words))
    except OSError as error:
        raise CommandFailed(f"EMBED_API_KEYS_FILE: {error.strerror}") from None
    return key


def _append(path: str, line: str) -> None:
    """Write the line at once: a service that reads meanwhile sees all of it or nothing."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        separator = b"" if file.read(1) in {b"", b"\n"} else b"\n"
        file.write(separator + line.encode() + b"\n")


def _parse(number: int, line: str) -> Key:
    match = LINE.fullmatch(line)
    if match is None:
        raise _refuse(f"line {number} is not {EXPECTED}")
    name, digest, tokens = match.groups()
    return Key(name, digest.lower(), int(tokens) if tokens else None)


def _refuse(problem: str) -> BadSetting:
    return BadSetting(f"EMBED_API_KEYS_FILE: {problem}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _stamp(path: str) -> Stamp:
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
