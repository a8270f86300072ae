"""The door of the app: it begins every exchange, and refuses a request that finds no room before Flask sees it."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

from service.api.exchange import Exchange, current
from service.api.faults import Refusal
from service.api.ledger import Ledger
from service.engine.admission import Admission
from service.errors import ForkedAfterLoad, Overloaded

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]

SLASHES = re.compile("/{2,}")


class Door:
    """WSGI middleware around a Flask app.

    A refusal through Flask takes a millisecond of the CPU that the requests inside need.

    Args:
        app: has the routes; a POST to one of these blueprints needs room.
        refusals: how each refuses, by the name of its blueprint.
        admission: returns the admission of this process.
        ledger: ends every exchange.
    """

    def __init__(
        self, app: Flask, refusals: Mapping[str, Refusal], admission: Callable[[], Admission], ledger: Ledger
    ) -> None:
        self._app: WSGIApp = app.wsgi_app
        self._refusals = refusals
        self._admission = admission
        self._ledger = ledger
        self._max_body_bytes: int = app.config["MAX_CONTENT_LENGTH"]
        self._routes = app.url_map.bind("")
        self._rooms = {
            rule.rule: rule.endpoint.partition(".")[0]
            for rule in app.url_map.iter_rules()
            if "POST" in (rule.methods or ())
        }
        app.after_request(lambda answer: ledger.close(current(), _route(), answer))

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        environ["PATH_INFO"] = path = _tidy(environ.get("PATH_INFO", ""))
        exchange = environ["embed.exchange"] = Exchange(environ)
        route = self._find(path) if environ["REQUEST_METHOD"] == "POST" else ""
        refuse = self._refusals.get(self._rooms.get(route, ""))
        if refuse is None:
            return self._app(environ, start_response)
        size = min(environ["wsgi.input"].size, self._max_body_bytes)
        try:
            admission = self._admission()
            admission.hold(size)
        except ForkedAfterLoad:
            return self._app(environ, start_response)
        except Overloaded as error:
            return self._ledger.close(exchange, route, refuse(exchange, error))(environ, start_response)
        return self._serve(environ, start_response, partial(admission.release, size))

    def _serve(self, environ: Environ, start_response: Any, release: Callable[[], None]) -> Iterable[bytes]:
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            release()
            raise
        return ClosingIterator(answer, release)

    def _find(self, path: str) -> str:
        """Return the rule of a path, "" if there is none."""
        if path in self._rooms:
            return path
        try:
            rule, _ = self._routes.match(path, "POST", return_rule=True)
        except HTTPException:
            return ""
        return rule.rule


def _tidy(path: str) -> str:
    """Take doubled and trailing slashes away: a POST must not be redirected, since clients drop its body."""
    return SLASHES.sub("/", path).rstrip("/") or "/"


def _route() -> str:
    return request.url_rule.rule if request.url_rule else ""
