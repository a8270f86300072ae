"""A request on its way through the model, and its entries in the queue."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from service.engine.model import TokenIds, Vectors
from service.errors import RequestError


class Request:
    """The texts of one request and the vectors computed so far.

    Args:
        token_ids: one array for each text.
        dimension: the width of a vector.
        deadline: the ``time.monotonic()`` after which the answer is useless.
        bulk: whether it may wait for all others.
    """

    def __init__(
        self, token_ids: Sequence[TokenIds], dimension: int, deadline: float = float("inf"), *, bulk: bool = False
    ) -> None:
        self.token_ids = token_ids
        self.vectors: Vectors = np.empty((len(token_ids), dimension), np.float32)
        self.deadline = deadline
        self.bulk = bulk
        self.arrived = time.monotonic()
        #: When its first batch began; until then infinite.
        self.started = float("inf")
        self._error: RequestError | None = None
        self._missing = len(token_ids)
        # A plain lock costs a third of an Event, whose condition allocates one per wait: 5 % more requests a second
        # from 32 clients. The lock is held until the request is done; only the request's own thread waits for it.
        self._pending = threading.Lock()
        if self._missing:
            self._pending.acquire()

    def put(self, position: int, vector: Vectors) -> None:
        """Store the vector of one text, of shape (dimension,)."""
        self.vectors[position] = vector
        self._missing -= 1
        if not self._missing:
            self._pending.release()

    def fail(self, error: RequestError) -> None:
        """End the request with an error; a second one is ignored."""
        if self._missing > 0:
            self._missing = 0
            self._error = error
            self._pending.release()

    def wait(self, seconds: float) -> bool:
        """Wait until every vector or the error is there; return False if that takes longer than ``seconds``."""
        return self._pending.acquire(timeout=seconds)

    def raise_error(self) -> None:
        """Raise the error, if there is one, and forget it: its traceback refers to this request, a cycle."""
        try:
            if self._error:
                raise self._error
        finally:
            self._error = None


class Link:
    """A place in a doubly linked list."""

    __slots__ = ("after", "before")

    before: "Link"
    after: "Link"


class Entry(Link):
    """One text in the queue."""

    __slots__ = ("key", "length", "position", "request", "token_ids", "waiting")

    def __init__(self, request: Request, position: int) -> None:
        self.request = request
        self.position = position
        self.token_ids = request.token_ids[position]
        self.length = len(self.token_ids)
        #: Equal for equal texts.
        self.key = self.token_ids.tobytes()
        self.waiting = True


class Entries(NamedTuple):
    """A request's entries, sorted and linked before the scheduler's lock is taken.

    ``groups`` holds entries of equal texts, linked to each other; ``leaders`` holds all of them, the longest last.
    """

    request: Request
    groups: list[list[Entry]]
    leaders: list[Entry]

    @classmethod
    def of(cls, request: Request) -> "Entries":
        """Make an entry for each text."""
        equal: dict[bytes, list[Entry]] = {}
        for position in range(len(request.token_ids)):
            entry = Entry(request, position)
            equal.setdefault(entry.key, []).append(entry)
        groups = sorted(equal.values(), key=lambda group: -group[0].length)
        for group in groups:
            for before, after in pairwise(group):
                before.after, after.before = after, before
        return cls(request, groups, [entry for group in groups for entry in group][::-1])

    def fit(self, max_batch_tokens: int) -> bool:
        """Tell whether all of them fit one batch, padding included."""
        return not self.groups or len(self.groups) * self.groups[0][0].length <= max_batch_tokens
