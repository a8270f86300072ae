"""CORS: which pages of other origins may read answers, if ``EMBED_CORS_ORIGINS`` names any."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from service.api.headers import HEADERS

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]
Headers = list[tuple[str, str]]

#: The answer's headers that a page may read, beside those that it always may.
EXPOSED = ", ".join(HEADERS)

#: A page may send the headers that it asks about: OpenAI's client has a dozen, and none does more than the key does.
ASKED = re.compile(r"[A-Za-z0-9_, -]{1,2000}")
USUAL = "Authorization, api-key, Content-Type"

#: Chromium keeps no answer longer.
MAX_AGE_SECONDS = 7200


class Cors:
    """WSGI middleware that answers preflights, and lets pages read every other answer.

    It goes around everything that may refuse a request: without these headers, a page sees nothing of a refusal.

    Args:
        app: the rest of the service.
        origins: in lower case; ``["*"]`` for all.
    """

    def __init__(self, app: WSGIApp, origins: list[str]) -> None:
        self._app = app
        self._origins = origins

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request. A browser sends a preflight without the key."""
        ours = self._headers(environ)
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            start_response("204 No Content", ours + _permissions(environ))
            return []
        return self._app(environ, lambda status, headers, *rest: start_response(status, headers + ours, *rest))

    def _headers(self, environ: Environ) -> Headers:
        origin = environ.get("HTTP_ORIGIN", "")
        is_for_all = self._origins == ["*"]
        headers = [] if is_for_all else [("Vary", "Origin")]  # for caches
        if origin and (is_for_all or origin in self._origins):
            headers.append(("Access-Control-Allow-Origin", "*" if is_for_all else origin))
            headers.append(("Access-Control-Expose-Headers", EXPOSED))
        return headers


def _permissions(environ: Environ) -> Headers:
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    return [
        ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
        ("Access-Control-Allow-Headers", asked if ASKED.fullmatch(asked) else USUAL),
        ("Access-Control-Max-Age", str(MAX_AGE_SECONDS)),
    ]
