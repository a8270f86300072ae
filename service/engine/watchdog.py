"""Notices a model that hangs."""

import threading
from collections.abc import Callable

from service.engine.batcher import Batcher

#: Ticks are counted, not seconds: the clock of a suspended process (SIGSTOP, ``docker pause``) goes on, its ticks stop.
TICK_SECONDS = 0.25

#: How long a batch may take before it counts as hanging: at least so many seconds, and so many times what it should.
#: A process that gets a tenth of a core is slow, and does not hang.
LEAST_SECONDS = 10.0
FACTOR = 50.0

#: Until it is known how long a usual batch takes.
UNKNOWN_SECONDS = 120.0


class Watchdog:
    """Owns a thread that counts how long the present batch has been running.

    A batch may take ``batch_timeout`` seconds for every ``max_batch_tokens`` tokens in it, since one text may be far
    longer than a usual batch.

    Args:
        batcher: whose batches are timed.
        max_batch_tokens: the tokens of a usual batch.
        batch_timeout: seconds that a usual batch may take; None for what ``calibrate`` finds.
        replace: called once, with the reason, when a batch takes longer or the batcher's thread has died.
        tick_seconds: the time between two checks.
    """

    def __init__(
        self,
        batcher: Batcher,
        max_batch_tokens: int,
        batch_timeout: float | None,
        replace: Callable[[str], object],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._batcher = batcher
        self._max_batch_tokens = max_batch_tokens
        self._batch_timeout = batch_timeout or UNKNOWN_SECONDS
        self._is_fixed = batch_timeout is not None
        self._replace = replace
        self._tick_seconds = tick_seconds
        self._batch = 0
        self._ticks = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def calibrate(self, seconds: float) -> None:
        """Take over how long a usual batch takes on this machine, unless a limit was given."""
        if not self._is_fixed:
            self._batch_timeout = max(LEAST_SECONDS, FACTOR * seconds)

    def is_late(self) -> bool:
        """Tell whether the present batch has used more than half of its time."""
        return self._seconds() > self._limit() / 2

    def check(self) -> str | None:
        """Count a tick; return why the process must be replaced, or None."""
        if self._batcher.running_tokens and self._batcher.batches == self._batch:
            self._ticks += 1
        else:
            self._batch, self._ticks = self._batcher.batches, 0
        if not self._batcher.is_alive():
            return "the batcher's thread has died"
        if self._seconds() > self._limit():
            return f"a batch has been running for more than {self._limit():g} seconds"
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
            self._batcher.show_queue(is_late=self.is_late())

    def _seconds(self) -> float:
        return self._ticks * self._tick_seconds

    def _limit(self) -> float:
        return self._batch_timeout * max(1, self._batcher.running_tokens / self._max_batch_tokens)
