"""The client's connection: the request body, and whether the client is still there."""

import io
import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from service.errors import BodyLate, InvalidInput, RequestError
from service.hosting import uwsgi
from service.hosting.deadlines import MAX_BODY_SECONDS, Deadlines

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]

#: Limits on what is read and discarded of one body; the seconds are those of nginx's lingering_time.
MAX_DRAIN_BYTES = 256 * 2**20
MAX_DRAIN_SECONDS = 30.0
DRAIN_BYTES = 2**16

#: A Content-Length that can be a length.
LENGTH = re.compile("[0-9]{1,18}")

#: A body whose end cannot be found counts as sent once its connection was quiet for so long.
QUIET_MILLISECONDS = 1000


class Connection:
    """WSGI middleware that reads every request body to its end, chunked ones included.

    A server that closes a connection with unread bytes resets it, and the client loses its answer. What the app leaves
    is therefore read after the answer was sent. The environ gets ``embed.client_is_gone``, a function.
    """

    def __init__(self, app: WSGIApp) -> None:
        self._app = app
        self._deadlines = Deadlines()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        environ.setdefault("REQUEST_METHOD", "")  # uWSGI leaves it out of a request line without a space
        body = environ["wsgi.input"] = Body(environ, self._deadlines)
        environ["embed.client_is_gone"] = lambda: is_gone(environ)
        answer = self._app(environ, start_response)
        return answer if body.is_read else _send_and_drain(answer, body)


class Body:
    """A request body that is never read past its end, and that knows whether it was read to its end.

    uWSGI's HTTP socket leaves the chunks to the app. nginx joins them but passes Transfer-Encoding on all the same, and
    Werkzeug then ignores the length (pallets/werkzeug#2346), so the header is removed.
    """

    def __init__(self, environ: Environ, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._deadline = time.monotonic() + MAX_BODY_SECONDS
        length = environ.get("CONTENT_LENGTH") or ""
        self._read: Callable[[int], bytes] = environ["wsgi.input"].read
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() and uwsgi.is_present():
            del environ["HTTP_TRANSFER_ENCODING"]
            if not length:
                self._read = Chunks().read
                environ["wsgi.input_terminated"] = True
        ends = not length and environ.get("wsgi.input_terminated")
        self._left = sys.maxsize if ends else int(length) if LENGTH.fullmatch(length) else 0
        self._length = None if ends else self._left
        self._read_bytes = 0
        self.is_read = self._left == 0

    @property
    def size(self) -> int:
        """The bytes that the client announced; of a chunked body, those that were read."""
        return self._read_bytes if self._length is None else self._length

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes; b"" at the end, and after an error.

        Raises:
            BodyLate: the body took longer than MAX_BODY_SECONDS in total.
            OSError: the client stalled or went away.
        """
        if self.is_read:
            return b""
        self.is_read = True  # also if the client stalls or goes away: waiting once is enough
        data = self._read_in_time(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        self._read_bytes += len(data)
        self.is_read = self._left == 0 or not data
        return data

    def _read_in_time(self, size: int) -> bytes:
        connection = uwsgi.connection()
        if connection is None:
            return self._read(size)
        try:
            with self._deadlines.watch(connection, self._deadline):
                return self._read(size)
        except (OSError, InvalidInput):
            if time.monotonic() < self._deadline:
                raise
            raise BodyLate(
                f"the body did not arrive within {MAX_BODY_SECONDS:g} seconds; send fewer texts at a time"
            ) from None

    def drain(self) -> None:
        """Read and discard the rest, within the limits."""
        deadline = time.monotonic() + MAX_DRAIN_SECONDS
        left = MAX_DRAIN_BYTES
        with suppress(OSError, RequestError):
            while not self.is_read and left > 0 and time.monotonic() < deadline:
                left -= len(self.read(DRAIN_BYTES))


class Chunks:
    """The chunked body of the request that uWSGI serves in this thread."""

    def __init__(self) -> None:
        self._chunk = io.BytesIO()

    def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes; b"" at the end.

        Raises:
            InvalidInput: uWSGI cannot read the chunks.
        """
        if data := self._chunk.read(size):
            return data
        try:
            self._chunk = io.BytesIO(uwsgi.read_chunk())
        except OSError:
            _discard_until_quiet()
            raise InvalidInput(
                "the chunked body stopped early or has chunk extensions, which uWSGI does not read; "
                "send it with a Content-Length"
            ) from None
        return self._chunk.read(size)


def is_gone(environ: Environ) -> bool:
    """Tell whether the client of the request being served has closed its connection.

    A half-closed connection counts as closed, as it does for nginx: after a FIN the kernel cannot tell the two apart.
    """
    connection: int | socket.socket | None = uwsgi.connection() or environ.get("gunicorn.socket")
    if connection is None:
        return False
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return bool(poller.poll(0))


def _send_and_drain(answer: Iterable[bytes], body: Body) -> Iterator[bytes]:
    try:
        yield from answer
        body.drain()
    finally:
        if hasattr(answer, "close"):
            answer.close()


def _discard_until_quiet() -> None:
    connection = uwsgi.connection()
    assert connection is not None
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    deadline = time.monotonic() + MAX_DRAIN_SECONDS
    with suppress(OSError):
        while time.monotonic() < deadline and poller.poll(QUIET_MILLISECONDS) and os.read(connection, DRAIN_BYTES):
            pass
