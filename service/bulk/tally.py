"""A tally: the tokens that a device's process has computed."""

import threading

from service.engine.meter import Meter


class Tally(Meter):
    """Counts tokens with and without padding."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = self._padded = 0

    def count_batch(self, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:  # noqa: ARG002
        """Count a batch."""
        with self._lock:
            self._tokens += tokens
            self._padded += padded_tokens

    def take(self) -> tuple[int, int]:
        """Return the tokens since the last time, without and with padding."""
        with self._lock:
            taken = self._tokens, self._padded
            self._tokens = self._padded = 0
        return taken
