"""One request and its answer: its ids, where its time went, and its line in the log."""

import logging
import re
import secrets
import time
from functools import partial
from typing import Any, Literal, cast
from urllib.parse import quote

from flask import Flask, Response, g, request

from service.engine.model import Embeddings

log = logging.getLogger(__name__)

#: As in deploy/nginx/conf.d/embeddings.conf.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: https://www.w3.org/TR/trace-context: version, trace id, parent id, flags.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

#: The steps that a client is told of in ``Server-Timing``.
STEPS = ("tokenize", "queue", "forward", "serialize")

MAX_METHOD_CHARACTERS = 20
MAX_ADDRESS_CHARACTERS = 64
MAX_PATH_CHARACTERS = 200

#: A worker writes no more lines a second unless each request is to have one: the journal drops every line of a service
#: that writes more than 10000 in 30 seconds.
MAX_LINES_PER_SECOND = 100

Requests = Literal["all", "slow", "errors"]


def register(app: Flask, requests: Requests, slow_seconds: float) -> None:
    """Give every request of ``app`` an exchange; register this before anything that may refuse a request."""
    app.before_request(_begin)
    app.after_request(partial(_end, RequestLog(requests, slow_seconds)))


def current() -> "Exchange":
    """Return the exchange of the request being served."""
    return cast("Exchange", g.exchange)


class Exchange:
    """What is known of a request: no text, no vector, no key, no query string."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.started = time.monotonic()
        self._environ = environ
        request_id, traceparent = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", "")
        self.request_id = request_id if REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)
        trace = TRACEPARENT.fullmatch(traceparent)
        self.traceparent = traceparent if trace else None
        self.fields: dict[str, Any] = {"request_id": self.request_id} | ({"trace_id": trace[1]} if trace else {})
        self.seconds: dict[str, float] = {}
        #: What the request was answered with instead of a result; a bug has a traceback in the log.
        self.error: Exception | None = None
        self.is_bug = False
        self.status = 0
        self._route = ""
        self._bytes_out: int | None = None
        self._step_began = self.started

    def embeds(self, model: str, texts: int) -> None:
        """Note that the request was read."""
        self.end_step("read")
        self.fields |= {"model": model, "texts": texts}

    def embedded(self, embeddings: Embeddings) -> None:
        """Note the result."""
        self.fields["tokens"] = embeddings.tokens
        self.seconds |= embeddings.timings._asdict()
        self._step_began += sum(embeddings.timings)  # not the time now: the steps add up to the whole

    def answered(self, route: str, answer: Response) -> None:
        """Note that the answer is ready to be sent; ``route`` is "" if none has this path."""
        self._route = route
        self.status = answer.status_code
        self._bytes_out = answer.calculate_content_length()
        is_embedded, is_read = "forward" in self.seconds, "read" in self.seconds
        self.end_step("serialize" if is_embedded else "embed" if is_read else "answer")

    def end_step(self, name: str) -> None:
        """Note that a step ends here, and the next one begins."""
        now = time.monotonic()
        self.seconds[name] = now - self._step_began
        self._step_began = now

    def describe(self) -> dict[str, Any]:
        """Return the fields of the line."""
        path = self._environ.get("PATH_INFO", "")[:MAX_PATH_CHARACTERS].encode("latin-1", "replace")  # as PEP 3333 says
        self.fields |= {
            "client": self._environ.get("REMOTE_ADDR", "")[:MAX_ADDRESS_CHARACTERS],
            "method": self._environ["REQUEST_METHOD"][:MAX_METHOD_CHARACTERS],
            **({"route": self._route} if self._route else {"path": quote(path)[:MAX_PATH_CHARACTERS]}),
            "status": self.status,
            "bytes_in": self._environ["wsgi.input"].size,
            "bytes_out": self._bytes_out,
        }
        if self.error:
            self.fields["error"] = type(self.error).__name__
        self.fields["ms"] = _round(self._step_began - self.started)
        return self.fields | {f"{step}_ms": _round(seconds) for step, seconds in self.seconds.items()}

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        headers = {"X-Request-ID": self.request_id}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        if "serialize" in self.seconds:
            headers["Server-Timing"] = ", ".join(f"{step};dur={self.seconds[step] * 1e3:.2f}" for step in STEPS)
        return headers


class RequestLog:
    """Writes the line of a request, if it is to have one.

    Args:
        requests: ``all``; ``slow``: those that were slow, refused or failed; ``errors``: those refused or failed.
        slow_seconds: a request that takes longer is slow.
    """

    def __init__(self, requests: Requests, slow_seconds: float) -> None:
        self._requests = requests
        self._slow_seconds = slow_seconds
        self._limiter = Limiter()

    def write(self, exchange: Exchange) -> None:
        """Write the line once the answer is sent."""
        exchange.end_step("send")
        now = time.monotonic()
        level, kind = self._rate(exchange.status, now - exchange.started)
        if not level or not (self._requests == "all" or exchange.is_bug or self._limiter.allows(int(now))):
            return
        fields = exchange.describe()
        if left_out := self._limiter.count_left_out():
            fields["left_out"] = left_out
        log.log(level, kind, exc_info=exchange.error if exchange.is_bug else None, extra={"fields": fields})

    def _rate(self, status: int, seconds: float) -> tuple[int, str]:
        """Return the level, 0 for no line, and what kind of request this is."""
        if status >= 500:
            return logging.ERROR if status == 500 else logging.WARNING, "failed request"
        if seconds > self._slow_seconds and self._requests != "errors":
            return logging.WARNING, "slow request"
        if status >= 400:
            return logging.INFO, "refused request"
        return logging.INFO if self._requests == "all" else 0, "request"


class Limiter:
    """Counts the lines of this second, and those left out. Threads may miscount a few."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def allows(self, second: int) -> bool:
        """Count a line, and tell whether this second may have it."""
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        allowed = self._lines <= MAX_LINES_PER_SECOND
        self._left_out += not allowed
        return allowed

    def count_left_out(self) -> int:
        """Return how many lines were left out since the last call."""
        left_out, self._left_out = self._left_out, 0
        return left_out


def _begin() -> None:
    g.exchange = Exchange(request.environ)


def _end(requests: RequestLog, answer: Response) -> Response:
    exchange, rule = current(), request.url_rule
    exchange.answered(rule.rule if rule else "", answer)
    for name, value in exchange.headers().items():
        answer.headers.add(name, value)
    answer.call_on_close(partial(requests.write, exchange))
    return answer


def _round(seconds: float) -> float:
    """Return milliseconds."""
    return round(seconds * 1e3, 2)
