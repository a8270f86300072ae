"""The client's connection: chunked request bodies, and whether the client is still there."""

import io
import select
import socket
from collections.abc import Callable, Iterable
from typing import Any

from service.hosting import uwsgi

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]

#: Bytes of a refused body to read before the answer: a client that still sends would see a reset instead of it.
MAX_DRAIN_BYTES = 256 * 2**20


class Connection:
    """WSGI middleware between the server and the app.

    It gives a chunked body a length. Under uWSGI, Flask would see an empty body: nginx joins the chunks and passes the
    header on all the same, so Werkzeug ignores CONTENT_LENGTH (pallets/werkzeug#2346); uWSGI's HTTP socket leaves the
    chunks to the app. It also puts a function into the environ, ``embed.client_is_gone``, that tells whether the client
    has closed the connection.

    Args:
        app: the WSGI application.
        limit: the bytes of a chunked body that are kept; Flask refuses a longer one by its length.
    """

    def __init__(self, app: WSGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request, as every WSGI application does."""
        if uwsgi.is_present() and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            del environ["HTTP_TRANSFER_ENCODING"]
            if not environ.get("CONTENT_LENGTH"):
                self._read(environ)
        environ["embed.client_is_gone"] = lambda: is_gone(environ)
        return self._app(environ, start_response)

    def _read(self, environ: Environ) -> None:
        body, length = read_chunked(self._limit)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(length)


def read_chunked(limit: int) -> tuple[bytes, int]:
    """Read a chunked request body through uWSGI; return its first ``limit`` bytes and its length.

    A client that stalls or goes away has its body cut there, which the JSON reader then reports.
    """
    body, length = bytearray(), 0
    try:
        while length <= MAX_DRAIN_BYTES and (chunk := uwsgi.read_chunk()):
            body += chunk[: max(0, limit - length)]
            length += len(chunk)
    except OSError:
        pass
    return bytes(body), length


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
