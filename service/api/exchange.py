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

    def __init__(self, request_id: str, traceparent: str) -> None:
        self.started = time.monotonic()
        self.request_id = request_id if REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)
        trace = TRACEPARENT.fullmatch(traceparent)
        self.traceparent = traceparent if trace else None
        self.fields: dict[str, Any] = {"request_id": self.request_id} | ({"trace_id": trace[1]} if trace else {})
        self.seconds: dict[str, float] = {}
        #: What the request was answered with instead of a result; a bug has a traceback in the log.
        self.error: Exception | None = None
        self.is_bug = False
        self._step_began = self.started

    def embeds(self, model: str, texts: int) -> None:
        """Note that the request was read."""
        self.end_step("read")
        self.fields |= {"model": model, "texts": texts}

    def embedded(self, embeddings: Embeddings) -> None:
        """Note the result."""
        self.fields["tokens"] = embeddings.tokens
        self.seconds |= embeddings.timings._asdict()
        self._step_began = time.monotonic()

    def answered(self) -> None:
        """Note that the answer is ready to be sent."""
        is_embedded, is_read = "forward" in self.seconds, "read" in self.seconds
        self.end_step("serialize" if is_embedded else "embed" if is_read else "answer")

    def end_step(self, name: str) -> None:
        """Note that a step ends here, and the next one begins."""
        now = time.monotonic()
        self.seconds[name] = now - self._step_began
        self._step_began = now

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

    def write(self, exchange: Exchange, fields: dict[str, Any]) -> None:
        """Write the line once the answer is sent; ``fields`` are those of the answer."""
        exchange.end_step("send")
        now = time.monotonic()
        seconds = now - exchange.started
        level, kind = self._rate(fields["status"], seconds)
        if not level or not (self._requests == "all" or exchange.is_bug or self._limiter.allows(int(now))):
            return
        fields = exchange.fields | fields
        if exchange.error:
            fields["error"] = type(exchange.error).__name__
        fields["ms"] = round(seconds * 1e3, 2)
        fields |= {f"{step}_ms": round(each * 1e3, 2) for step, each in exchange.seconds.items()}
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
    g.exchange = Exchange(request.environ.get("HTTP_X_REQUEST_ID", ""), request.environ.get("HTTP_TRACEPARENT", ""))


def _end(requests: RequestLog, answer: Response) -> Response:
    exchange = current()
    exchange.answered()
    answer.headers.update(exchange.headers())
    answer.call_on_close(partial(requests.write, exchange, _describe(answer)))
    return answer


def _describe(answer: Response) -> dict[str, Any]:
    return {
        "client": (request.remote_addr or "")[:MAX_ADDRESS_CHARACTERS],
        "method": request.method[:MAX_METHOD_CHARACTERS],
        **_name_route(),
        "status": answer.status_code,
        "bytes_in": request.environ["wsgi.input"].size,
        "bytes_out": answer.calculate_content_length(),
    }


def _name_route() -> dict[str, str]:
    if request.url_rule:
        return {"route": request.url_rule.rule}
    return {"path": quote(request.path[:MAX_PATH_CHARACTERS], errors="replace")[:MAX_PATH_CHARACTERS]}
