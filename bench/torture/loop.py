"""An event loop for sockets: what asyncio does for a request costs more than the server may spend on a refusal."""

import heapq
import itertools
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

#: An answer that comes later is as good as lost. The kernel tries a connection that found the backlog full again after
#: 1, 3, 7 and 15 seconds.
LOST_SECONDS = 75.0

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Client(Protocol):
    """What the loop wakes."""

    def wake(self, events: int) -> None:
        """Read or write: the socket can."""

    def give_up(self) -> None:
        """End without an answer; do nothing if it came."""


class Loop:
    """Wakes clients when their socket is ready, and calls functions at their time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._lost: deque[tuple[float, Client]] = deque()

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, number: int, client: Client, events: int) -> None:
        """Wake ``client`` when the socket of this number is ready for ``events``."""
        self._clients[number] = client
        self._epoll.register(number, events)

    def change(self, number: int, events: int) -> None:
        """Wake the client of this socket for other events."""
        self._epoll.modify(number, events)

    def remove(self, number: int) -> None:
        """Forget a socket, which must be closed next: that takes it out of the kernel's list."""
        del self._clients[number]

    def expect(self, client: Client) -> None:
        """Have ``client`` give up after ``LOST_SECONDS``."""
        self._lost.append((time.monotonic() + LOST_SECONDS, client))

    def call_at(self, when: float, call: Callable[[], object]) -> None:
        """Call a function once ``time.monotonic()`` reaches ``when``."""
        heapq.heappush(self._calls, (when, next(self._order), call))

    def run(self, seconds: float) -> None:
        """Run until no client and no call is left; after ``seconds``, all clients give up."""
        end = time.monotonic() + seconds
        while self._clients or self._calls:
            now = time.monotonic()
            if now >= end:
                self._stop()
                return
            self._call(now)
            upcoming = min(self._calls[0][0] if self._calls else end, end)
            for number, events in self._epoll.poll(min(1.0, max(0.0, upcoming - time.monotonic()))):
                if number in self._clients:
                    self._clients[number].wake(events)

    def _call(self, now: float) -> None:
        while self._calls and self._calls[0][0] <= now:
            heapq.heappop(self._calls)[2]()
        while self._lost and self._lost[0][0] <= now:
            self._lost.popleft()[1].give_up()

    def _stop(self) -> None:
        self._calls.clear()
        for client in list(self._clients.values()):
            client.give_up()
        self._lost.clear()
