"""Clients of all manners: those that ask and wait, and those that drip, dawdle, hang up or say nothing."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from bench.torture.loop import READ, WRITE, Loop

#: In place of a status.
CLOSED, WRONG, LOST, CUT = 0, -1, -2, -3

RECEIVE_BYTES = 2**18

Address = tuple[str, int]


class Answer(NamedTuple):
    """What came back: a status or CLOSED, WRONG, LOST or CUT, when, after how long, and all of it.

    ``sent`` and ``came`` are in ``time.monotonic()``; ``retry_after`` in seconds.
    """

    status: int
    sent: float
    came: float
    retry_after: float
    body: bytes

    @property
    def seconds(self) -> float:
        """Return how long the answer took."""
        return self.came - self.sent


class Ask:
    """Sends a request on a connection of its own, and passes the answer to ``done``."""

    __slots__ = ("_done", "_events", "_left", "_length", "_loop", "_received", "_sent_at", "_socket")

    def __init__(self, loop: Loop, address: Address, sent: bytes, done: Callable[[Answer], None]) -> None:
        self._loop = loop
        self._done = done
        self._left = memoryview(sent)
        self._received: list[bytes] = []
        self._length = -1
        self._sent_at = time.monotonic()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.prepare(self._socket)
        self._socket.connect_ex(address)
        self._events = READ
        loop.add(self._socket.fileno(), self, READ)
        loop.expect(self)
        self._send()

    def prepare(self, connection: socket.socket) -> None:
        """Set options before the socket connects."""

    def sent(self) -> None:
        """Note that all was sent."""

    def wake(self, events: int) -> None:
        """Go on."""
        if events & WRITE:
            self._send()
        if events & ~WRITE and self._socket.fileno() >= 0:
            self.receive(RECEIVE_BYTES)

    def receive(self, size: int) -> None:
        """Read what is there, at most ``size`` bytes."""
        try:
            data = self._socket.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._received.append(data)
        if len(self._received) == 1:
            self._length = _length(data)
        self._length -= len(data)
        if self._length == 0:
            self._end()

    def give_up(self) -> None:
        """Count the answer as lost, unless it came."""
        if self._socket.fileno() >= 0:
            self._end(LOST)

    def _send(self) -> None:
        try:
            self._left = self._left[self._socket.send(self._left) :]
        except BlockingIOError:
            pass
        except OSError:  # the answer may have come before
            self._left = self._left[:0]
        wanted = READ | WRITE if self._left else READ
        if wanted != self._events:
            self._events = wanted
            self._loop.change(self._socket.fileno(), wanted)
        if not self._left:
            self.sent()

    def _end(self, status: int | None = None) -> None:
        now = time.monotonic()
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        head, _, body = b"".join(self._received).partition(b"\r\n\r\n")
        self._received.clear()
        if status is None:
            status = int(head[9:12]) if head[9:12].isdigit() else CLOSED
        wait = head.lower().partition(b"retry-after: ")[2].partition(b"\r\n")[0] if status == 429 else b""
        self._done(Answer(status, self._sent_at, now, float(wait or 0), body))


class HalfClosed(Ask):
    """Says that it has sent everything, as ``nc -N`` does; the service takes that for a client that is gone."""

    __slots__ = ()

    def sent(self) -> None:
        """Close the sending half."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)


class SlowReader(Ask):
    """Reads nothing for a while, and then a little at a time."""

    __slots__ = ()

    PAUSE_SECONDS = 6.0
    TICK_SECONDS = 0.02

    def prepare(self, connection: socket.socket) -> None:
        """Let the kernel hold little for this client."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)

    def sent(self) -> None:
        """Wait."""
        if self._events:
            self._events = 0
            self._loop.change(self._socket.fileno(), 0)
            self._loop.call_at(time.monotonic() + self.PAUSE_SECONDS, self._read)

    def wake(self, events: int) -> None:
        """Send; what came is read at its time."""
        if events & WRITE:
            self._send()
        if events & ~(READ | WRITE) and self._socket.fileno() >= 0:
            self.receive(RECEIVE_BYTES)

    def _read(self) -> None:
        if self._socket.fileno() >= 0:
            self.receive(2**16)
            self._loop.call_at(time.monotonic() + self.TICK_SECONDS, self._read)


class Quitter(Ask):
    """Hangs up a moment after all was sent, or if that takes too long."""

    __slots__ = ()

    def __init__(self, loop: Loop, address: Address, sent: bytes, done: Callable[[Answer], None]) -> None:
        super().__init__(loop, address, sent, done)
        loop.call_at(time.monotonic() + 3, self.give_up)

    def sent(self) -> None:
        """Hang up soon."""
        self._loop.call_at(time.monotonic() + 0.2, self.give_up)


class Dripper(Ask):
    """Sends ``sent``, and then a byte from time to time, until it is answered or told to give up."""

    __slots__ = ()

    TICK_SECONDS = 0.5

    def sent(self) -> None:
        """Send a byte later."""
        self._loop.call_at(time.monotonic() + self.TICK_SECONDS, self._drip)

    def _drip(self) -> None:
        if self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.send(b" ")
            self.sent()


def _length(data: bytes) -> int:
    """Return the bytes of an answer, its head included; -1 if only the end of the connection tells."""
    head, end, _ = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(head) + len(end) + int(length) if end and length.isdigit() else -1
