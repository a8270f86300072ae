"""Ctrl-C and SIGTERM: the first lets the shards under way be finished, the second ends the run at once."""

import logging
import signal
from typing import Any, Self

from service.errors import BulkFailed

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts signals while it is entered."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._hear) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def raise_if_any(self) -> None:
        """End the run if there was a signal.

        Raises:
            BulkFailed: there was.
        """
        if self.count:
            raise BulkFailed("stopped before the first row; run the same command to begin again")

    def raise_if_twice(self) -> None:
        """End the run if there were two signals.

        Raises:
            BulkFailed: there were.
        """
        if self.count > 1:
            raise BulkFailed("stopped at once; the parts under way are lost; run the same command to go on")

    def _hear(self, *_: object) -> None:
        self.count += 1
        if self.count == 1:
            log.warning("finishing the parts under way; a second signal leaves them")
