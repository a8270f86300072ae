"""Notices a model that hangs."""

import threading
from collections.abc import Callable

from service.engine.batcher import Batcher

#: Ticks are counted, not seconds: the clock of a suspended process (SIGSTOP, ``docker pause``) goes on, its ticks stop.
TICK_SECONDS = 0.25


class Watchdog:
    """Owns a thread that counts how long the present batch has been running.

    Args:
        batcher: whose batches are timed.
        replace: called once, with the reason, when a batch takes longer than it may or the batcher's thread has died.
        tick_seconds: the time between two checks.
    """

    def __init__(self, batcher: Batcher, replace: Callable[[str], object], tick_seconds: float = TICK_SECONDS) -> None:
        self._batcher = batcher
        self._replace = replace
        self._tick_seconds = tick_seconds
        self._batch = 0
        self._ticks = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def is_late(self) -> bool:
        """Tell whether the present batch has used more than half of its time."""
        return self._uses_more_than(self._batcher.allowed_seconds / 2)

    def check(self) -> str | None:
        """Count a tick; return why the process must be replaced, or None."""
        allowed = self._batcher.allowed_seconds
        if allowed and self._batcher.batches == self._batch:
            self._ticks += 1
        else:
            self._batch, self._ticks = self._batcher.batches, 0
        if not self._batcher.is_alive():
            return "the batcher's thread has died"
        if self._uses_more_than(allowed):
            return f"a batch has been running for more than {allowed:g} seconds"
        return None

    def close(self) -> None:
        """Stop checking and join the thread."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(self._tick_seconds):
            if reason := self.check():
                self._replace(reason)
                return
            self._batcher.show_queues(is_late=self.is_late())

    def _uses_more_than(self, seconds: float) -> bool:
        """Compare with the present batch, if there is one: between batches none is allowed any time."""
        return bool(seconds) and self._ticks * self._tick_seconds > seconds
