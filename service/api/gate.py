"""Who may send requests: the holders of API keys, if there is a file of keys."""

import math

from flask import Flask, current_app, g, request

from service.api import exchange
from service.errors import InvalidKey, KeyExhausted
from service.keys import Allowance, Key, Keyring

#: For supervisors, and the documentation; none of them tells anything about texts.
OPEN_ROUTES = {
    "/",
    "/ping",
    "/livez",
    "/readyz",
    "/health",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/<digest>/<name>",
    "/web/state",
    "/web/<digest>/<path:name>",
}


class Gate:
    """Lets requests in, and counts the tokens of those that came in."""

    def __init__(self, keyring: Keyring, allowance: Allowance) -> None:
        self._keyring = keyring
        self._allowance = allowance

    def check(self) -> None:
        """Find the key of this request; the line in the log has its name.

        Raises:
            InvalidKey: it has none, or one that is not in the file.
            KeyExhausted: the key has used its tokens.
        """
        if request.url_rule is not None and request.url_rule.rule in OPEN_ROUTES and request.method != "POST":
            return
        g.key = key = self._find()
        exchange.current().fields["key"] = key.name
        seconds = math.ceil(self._allowance.wait(key))
        if seconds:
            raise KeyExhausted(
                f"the key {key.name} has used its {key.tokens_per_minute} tokens a minute; wait {seconds} seconds",
                seconds,
            )

    def charge(self, tokens: int) -> None:
        """Count the tokens of this request for its key."""
        self._allowance.spend(g.key, tokens)

    def _find(self) -> Key:
        sent = [key for key in (_authorization(), request.headers.get("api-key", "").strip()) if key]
        if not sent:
            raise InvalidKey("send an API key, as Authorization: Bearer KEY")
        for key in filter(None, map(self._keyring.find, sent)):
            return key
        raise InvalidKey("this API key is not valid here")


def register(app: Flask, keyring: Keyring, allowance: Allowance) -> None:
    """Have every request of ``app`` checked."""
    gate = app.extensions["gate"] = Gate(keyring, allowance)
    app.before_request(gate.check)


def charge(tokens: int) -> None:
    """Count the tokens of this request, if it needed a key."""
    if "gate" in current_app.extensions:
        current_app.extensions["gate"].charge(tokens)


def _authorization() -> str:
    """Return the key of the Authorization header, with Bearer before it or alone."""
    header = request.headers.get("Authorization", "").strip()
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else header
