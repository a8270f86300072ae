"""The order in which waiting texts make up batches."""

import time
from bisect import bisect_left, insort
from collections import OrderedDict, deque

from service.engine.model import PaddingLimits
from service.engine.request import Entries, Entry, Link, Request

#: Beside other work, bulk requests get one batch in so many.
BULK_TURN = 8


class Queue:
    """Waiting entries sorted by length, and their requests in round-robin order.

    A batch is a run of neighbours in length around the longest entry of the request whose turn it is. Padding stays
    small. Every second turn is that of the request whose deadline is next, or under overload all would finish late
    together. Nobody starves: of n waiting requests each leads one batch in 2 n.

    The entries form a linked list; ``_last`` finds the last entry of each length. To add or to cancel an entry costs
    O(1), however many wait. Equal texts stand side by side and leave together, since they are computed once:
    ``_twins`` finds the last entry of each text.
    """

    def __init__(self, limits: PaddingLimits) -> None:
        self._limits = limits
        self._ends = Link()  # before the first entry and after the last
        self._ends.before = self._ends.after = self._ends
        self._last: dict[int, Entry] = {}
        self._twins: dict[bytes, Entry] = {}
        self._lengths: list[int] = []
        self._turns: OrderedDict[Request, list[Entry]] = OrderedDict()
        self._urgent = False  # whether this turn is that of the next deadline
        #: The tokens of the waiting texts; equal ones count once.
        self.tokens = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, entries: Entries) -> None:
        """Queue the entries of a request behind those of the same text, else behind those of equal length."""
        for group in entries.groups:
            self._insert(group)
        self._turns[entries.request] = entries.leaders

    def oldest(self) -> float:
        """Return when the oldest waiting request arrived; infinite if none waits."""
        return min((request.arrived for request in self._turns), default=float("inf"))

    def cancel(self, request: Request) -> None:
        """Remove what still waits of a request."""
        for entry in self._turns.pop(request, ()):
            if entry.waiting:
                self._remove(entry)

    def next_batch(self, max_batch_tokens: int) -> list[Entry]:
        """Remove and return the next batch; an empty one means that nothing waits."""
        self._urgent = not self._urgent
        while self._turns:
            request = self._next_request()
            if time.monotonic() <= request.deadline:
                self._turns.move_to_end(request)
                return self._take(self._turns[request][-1], max_batch_tokens)
            self.cancel(request)
        return []

    def _next_request(self) -> Request:
        if self._urgent:
            return min(self._turns, key=lambda request: request.deadline)
        return next(iter(self._turns))

    def take_equal(self, key: bytes) -> list[Entry]:
        """Remove and return every entry of a text."""
        found = []
        entry: Link | None = self._twins.get(key)
        while isinstance(entry, Entry) and entry.key == key:
            found.append(entry)
            entry = entry.before
        self._withdraw(found)
        return found

    def _take(self, leader: Entry, max_batch_tokens: int) -> list[Entry]:
        batch = self._neighbours(leader, max_batch_tokens)
        self._withdraw(batch)
        return batch

    def _withdraw(self, batch: list[Entry]) -> None:
        for entry in batch:
            self._remove(entry)
        for request in {entry.request for entry in batch}:
            leaders = self._turns[request]
            while leaders and not leaders[-1].waiting:
                leaders.pop()
            if not leaders:
                del self._turns[request]

    def _neighbours(self, leader: Entry, max_batch_tokens: int) -> list[Entry]:
        """Return the entries around ``leader`` that fit one batch, shorter ones first; equal ones take no room."""
        batch, texts = deque([leader]), 1
        while isinstance(entry := batch[0].before, Entry):
            if entry.key != batch[0].key:
                if not self._fit(entry, batch[-1], texts, max_batch_tokens):
                    break
                texts += 1
            batch.appendleft(entry)
        while isinstance(entry := batch[-1].after, Entry):
            if entry.key != batch[-1].key:
                if not self._fit(batch[0], entry, texts, max_batch_tokens):
                    break
                texts += 1
            batch.append(entry)
        return list(batch)

    def _fit(self, shortest: Entry, longest: Entry, others: int, max_batch_tokens: int) -> bool:
        fits = (others + 1) * longest.length <= max_batch_tokens
        return fits and self._limits.allow(shortest.length, longest.length)

    def _insert(self, group: list[Entry]) -> None:
        first, last = group[0], group[-1]
        twin, neighbour = self._twins.get(first.key), self._last.get(first.length)
        if twin is None:
            self.tokens += first.length
        if neighbour is None:
            insort(self._lengths, first.length)
        before = twin or neighbour or self._last_below(first.length)
        if twin is None or twin is neighbour:
            self._last[first.length] = last
        after = before.after
        before.after, first.before = first, before
        last.after, after.before = after, last
        self._twins[first.key] = last

    def _last_below(self, length: int) -> Link:
        index = bisect_left(self._lengths, length)
        return self._last[self._lengths[index - 1]] if index else self._ends

    def _remove(self, entry: Entry) -> None:
        before, after = entry.before, entry.after
        before.after, after.before = after, before
        if self._twins[entry.key] is entry:
            if isinstance(before, Entry) and before.key == entry.key:
                self._twins[entry.key] = before
            else:
                del self._twins[entry.key]
                self.tokens -= entry.length
        if self._last[entry.length] is entry:
            if isinstance(before, Entry) and before.length == entry.length:
                self._last[entry.length] = before
            else:
                del self._last[entry.length]
                del self._lengths[bisect_left(self._lengths, entry.length)]
        del entry.before, entry.after  # or neighbours would keep each other in memory
        entry.waiting = False


class Scheduler:
    """Queues that take turns: requests that fit one batch, and larger ones. Bulk requests wait for both.

    A short query waits for one batch of a large request at most, and no text of a large request shares its batch:
    beside a client that sends 2048 texts at a time, its 95th percentile is 2.9 times that of an idle server; with one
    queue, 5 times.

    ``max_batch_tokens`` counts padding; a single longer text makes a batch of its own.
    """

    def __init__(self, max_batch_tokens: int, limits: PaddingLimits) -> None:
        self._max_batch_tokens = max_batch_tokens
        self._small, self._large, self._bulk = self._queues = Queue(limits), Queue(limits), Queue(limits)
        self._turn = 0

    def __bool__(self) -> bool:
        return any(self._queues)

    def tokens(self) -> tuple[int, int]:
        """Return the waiting tokens of small requests, and of all others."""
        return self._small.tokens, self._large.tokens + self._bulk.tokens

    def oldest(self) -> float:
        """Return when the oldest waiting request arrived; infinite if none waits."""
        return min(queue.oldest() for queue in self._queues)

    def add(self, entries: Entries) -> None:
        """Queue the entries of a request."""
        small = self._small if entries.fit(self._max_batch_tokens) else self._large
        (self._bulk if entries.request.bulk else small).add(entries)

    def cancel(self, request: Request) -> None:
        """Remove what still waits of a request."""
        for queue in self._queues:
            queue.cancel(request)

    def next_batch(self) -> list[Entry]:
        """Remove and return the next batch; an empty one means that nothing waits."""
        self._turn += 1
        first = self._bulk if self._turn % BULK_TURN == 0 else self._queues[self._turn % 2]
        for queue in (first, *self._queues):
            if batch := queue.next_batch(self._max_batch_tokens):
                return self._take_equal(batch) + batch
        return []

    def _take_equal(self, batch: list[Entry]) -> list[Entry]:
        """Remove and return what waits in any queue for a text of ``batch``."""
        others = [queue for queue in self._queues if queue]
        keys = dict.fromkeys(entry.key for entry in batch) if others else {}
        return [entry for queue in others for key in keys for entry in queue.take_equal(key)]
