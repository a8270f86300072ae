"""How far a run is: a bar on a terminal, else a line a minute."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

LINE_SECONDS = 60.0
BAR_SECONDS = 0.5
BAR_CHARACTERS = 24


class Progress:
    """Counts what was computed and shows it.

    Args:
        size: bytes of the input; 0 if they are not known.
        stream: where to show it.
        clock: seconds; for tests.
    """

    def __init__(self, size: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._clock = clock
        self._shown = self.began = clock()
        self._skipped_bytes = self._bytes = 0
        self.rows = self.skipped = self.failed = 0
        self.processes: int | None = None
        self.tokens = self._padded_tokens = 0

    def begin(self) -> None:
        """Count the time from now on: the models are loaded."""
        self._shown = self.began = self._clock()

    def add(self, rows: int, tokens: int, padded_tokens: int) -> None:
        """Count rows that were computed."""
        self.rows += rows
        self.tokens += tokens
        self._padded_tokens += padded_tokens

    def skip(self, rows: int, position: int) -> None:
        """Count rows that an earlier run has computed."""
        self.skipped += rows
        if not self.rows:
            self._skipped_bytes = position

    def reach(self, position: int) -> None:
        """Note that the input is computed up to here, in bytes."""
        self._bytes = max(self._bytes, position)

    def show(self, *, now: bool = False) -> None:
        """Show how far it is, if it is time to."""
        seconds = BAR_SECONDS if self._is_terminal else LINE_SECONDS
        if now or self._clock() - self._shown >= seconds:
            self._shown = self._clock()
            start, end = ("\r\x1b[K", "") if self._is_terminal else ("", "\n")
            self._stream.write(f"{start}{self._bar()}{self.line()}{end}")
            self._stream.flush()

    def line(self) -> str:
        """Return rows, rates, padding, whether no process runs and the time that is left, as far as they are known."""
        seconds = self.seconds()
        told = [
            f"{self.rows + self.skipped:,} rows",
            f"{self.rows / seconds:,.0f} rows/s",
            f"{self.tokens / seconds:,.0f} tokens/s",
            f"{1 - self.tokens / self._padded_tokens:.1%} padding" if self._padded_tokens else "",
            f"{self.failed:,} failed" if self.failed else "",
            "0 processes" if self.processes == 0 else "",
            f"{_duration(left)} left" if (left := self._seconds_left(seconds)) is not None else "",
        ]
        return ", ".join(filter(None, told))

    def seconds(self) -> float:
        """Return how long rows have been computed."""
        return max(1e-9, self._clock() - self.began)

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._is_terminal:
            self._stream.write("\n")

    def _bar(self) -> str:
        if not (self._is_terminal and self._size):
            return ""
        full = round(BAR_CHARACTERS * min(1.0, max(self._bytes, self._skipped_bytes) / self._size))
        return f"[{'#' * full}{'.' * (BAR_CHARACTERS - full)}] "

    def _seconds_left(self, seconds: float) -> float | None:
        done = self._bytes - self._skipped_bytes
        if done <= 0 or self._bytes > self._size or self.processes == 0:
            return None
        return seconds * (self._size - self._bytes) / done


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
