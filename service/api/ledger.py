"""Ends every exchange: its headers, its numbers in the metrics, and its line in the log."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from flask import Response

from service.api.exchange import STEPS, Exchange
from service.metrics import Metrics

log = logging.getLogger(__name__)

#: A worker writes no more lines a second unless each request is to have one: the journal drops every line of a service
#: that writes more than 10000 in 30 seconds.
MAX_LINES_PER_SECOND = 100

Requests = Literal["all", "slow", "errors"]

#: Takes the fields of a request's line, the seconds of its steps and its traceparent.
Trace = Callable[[dict[str, Any], dict[str, float], str | None], None]


class Ledger:
    """Counts every request and writes the lines of those that are to have one.

    Args:
        metrics: counts them.
        requests: ``all``; ``slow``: those that were slow, refused or failed; ``errors``: those refused or failed.
        slow_seconds: a request that takes longer is slow.
        trace: is told of every request.
    """

    def __init__(self, metrics: Metrics, requests: Requests, slow_seconds: float, trace: Trace | None = None) -> None:
        self._trace = trace
        self._metrics = metrics
        self._requests = requests
        self._slow_seconds = slow_seconds
        self._limiter = Limiter()

    def close(self, exchange: Exchange, route: str, answer: Response) -> Response:
        """Complete an answer that is ready to be sent; ``route`` is "" if none has this path."""
        exchange.answered(route, answer)
        for name, value in exchange.headers().items():
            answer.headers.add(name, value)
        self._count(exchange, route or "other")  # a path may be anything
        answer.call_on_close(partial(self._write, exchange))
        return answer

    def _count(self, exchange: Exchange, route: str) -> None:
        if "serialize" in exchange.seconds:
            seconds = (exchange.seconds[step] for step in STEPS)
            fields = exchange.fields
            self._metrics.count_embeddings(fields["model"], fields["tokens"], len(exchange.cut), *seconds)
        seconds_in_all = time.monotonic() - exchange.started
        self._metrics.count_request(route, exchange.status, seconds_in_all, exchange.fields.get("model"))

    def _write(self, exchange: Exchange) -> None:
        """Write the line once the answer is sent."""
        exchange.end_step("send")
        if self._trace:
            self._trace(exchange.describe(), exchange.seconds, exchange.traceparent)
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
