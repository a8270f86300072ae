"""Who may wait: requests are refused at once when they would wait too long."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from service.engine.limits import Limits
from service.engine.meter import Meter
from service.errors import DeadlinePassed, Overloaded

#: The part of its time that a request may be expected to take. Requests that come later interleave with it: in a
#: simulation at three times the capacity, 1.0 finished 93 % of the accepted requests late, 1.5 none, with 14 % of the
#: time to spare, and 2.0 none, with 34 %. The rate is an estimate, so a margin is wanted.
SAFETY = 2.0

#: What a client may be told to wait. The openai package ignores more than 60 seconds.
MAX_RETRY_SECONDS = 60


class Backlog(Protocol):
    """What waits for a model, and how fast it goes."""

    def waiting_tokens(self) -> tuple[int, int]:
        """Return the tokens of small requests that wait, and of all others."""

    def tokens_per_second(self) -> float:
        """Return the rate of the model; infinite if it is not known yet."""


class Admission:
    """Counts the requests and tokens that were let in, and refuses what would be too much. Any thread may call it.

    Args:
        backlogs: what waits, for each model; they share the time of one thread equally.
        limits: how much may.
        meter: told of every refusal.
    """

    def __init__(self, backlogs: Sequence[Backlog], limits: Limits, meter: Meter) -> None:
        #: With the tokens of requests that are being tokenised, of small ones and of others.
        self._backlogs = {backlog: [0, 0] for backlog in backlogs}
        self._limits = limits
        self._meter = meter
        self._lock = threading.Lock()
        self._requests = 0
        self._bytes = 0
        #: When those that were refused and told to come back will have been served.
        self._promised = 0.0

    def hold(self, body_bytes: int) -> None:
        """Let a request in, before its body is read. ``release`` must follow.

        Raises:
            Overloaded: too many requests, or too many bytes of them, are held already.
        """
        with self._lock:
            if self._requests >= self._limits.max_requests:
                raise self._refuse("queue_full", "as many requests as this server holds at a time wait already")
            if self._requests and self._bytes + body_bytes > self._limits.max_held_bytes:
                raise self._refuse("queue_full", "the bodies of the requests that wait take all the memory they may")
            self._requests += 1
            self._bytes += body_bytes

    def release(self, body_bytes: int) -> None:
        """Forget a request that was let in."""
        with self._lock:
            self._requests -= 1
            self._bytes -= body_bytes

    def load(self) -> tuple[int, int]:
        """Return how many requests are held, and how many tokens wait."""
        with self._lock:
            return self._requests, self._all_waiting()

    @contextmanager
    def preparing(self, backlog: Backlog, tokens: int, deadline: float, *, small: bool) -> Iterator[None]:
        """Let about so many tokens of a request in, and count them until they are queued, which ends the context.

        Raises:
            DeadlinePassed: its time is over.
            Overloaded: the queue is full, or the request could not be answered in time.
        """
        coming = self._backlogs[backlog]
        with self._lock:
            self._check(backlog, tokens, deadline, small=small)
            coming[not small] += tokens
        try:
            yield
        finally:
            with self._lock:
                coming[not small] -= tokens

    def _check(self, backlog: Backlog, tokens: int, deadline: float, *, small: bool) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            self._meter.count_refusal("deadline")
            raise DeadlinePassed("the request's time was over before it could start; send it again with more")
        waiting = self._all_waiting()
        seconds = tokens / backlog.tokens_per_second()
        if waiting and waiting + tokens > self._limits.max_queue_tokens:
            raise self._refuse("queue_full", f"{waiting} tokens wait already", seconds)
        if waiting and SAFETY * self._seconds_until_done(backlog, tokens, small=small) > left:
            raise self._refuse("too_late", f"the request could not be answered in {left:.3g} seconds", seconds)

    def _seconds_until_done(self, backlog: Backlog, tokens: int, *, small: bool) -> float:
        """Return in how many seconds a request could be answered that is queued now."""
        mine, others = self._waiting(backlog) if small else self._waiting(backlog)[::-1]
        # The two queues take turns, so of the other queue as much comes first as of this one; so do the models.
        ahead = mine + min(mine + tokens, others)
        own = (ahead + tokens) / backlog.tokens_per_second()
        return own + sum(min(own, self._seconds(each)) for each in self._backlogs if each is not backlog)

    def _all_waiting(self) -> int:
        return sum(sum(self._waiting(each)) for each in self._backlogs)

    def _waiting(self, backlog: Backlog) -> tuple[int, int]:
        small, others = backlog.waiting_tokens()
        coming = self._backlogs[backlog]
        return small + coming[0], others + coming[1]

    def _seconds(self, backlog: Backlog) -> float:
        return sum(self._waiting(backlog)) / backlog.tokens_per_second()

    def _refuse(self, reason: str, message: str, seconds: float | None = None) -> Overloaded:
        self._meter.count_refusal(reason)
        return Overloaded(f"{message}; try again after the seconds in Retry-After", self._retry_after(seconds))

    def _retry_after(self, seconds: float | None) -> int:
        """Return after how many seconds a request should come back: one after the other, not all at once.

        ``seconds`` is what the request itself takes; None if that is not known, which is taken for the mean of all.
        """
        now = time.monotonic()
        waiting = sum(map(self._seconds, self._backlogs))
        share = waiting / max(1, self._requests) if seconds is None else seconds
        self._promised = max(self._promised, now + waiting) + share
        self._promised = min(self._promised, now + MAX_RETRY_SECONDS)
        return max(1, math.ceil(self._promised - now))
