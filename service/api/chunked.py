"""Request bodies without a Content-Length, which Flask sees as empty under uWSGI."""

import io
from collections.abc import Callable, Iterable
from typing import Any

from service.hosting import uwsgi

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]


class Dechunk:
    """Give the app the body of a chunked request as if it had come with its length.

    nginx has already put the chunks together and passes the header on all the same, which makes Werkzeug ignore
    CONTENT_LENGTH (pallets/werkzeug#2346); uWSGI's HTTP socket leaves reading the chunks to the app.

    Args:
        app: the WSGI application.
        limit: the bytes of a body that are kept; Flask refuses a longer one by its length.
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
        return self._app(environ, start_response)

    def _read(self, environ: Environ) -> None:
        body, length = uwsgi.read_chunked(self._limit)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(length)
