"""A limit on the seconds that a request body may take: uWSGI's own timeout begins anew with each byte."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: 32 MiB, the largest body by default, at 4.5 megabits a second.
MAX_BODY_SECONDS = 60.0

TICK_SECONDS = 1.0

#: The thread ends after so many ticks without a body.
IDLE_TICKS = 10


class Deadlines:
    """Ends reads that wait for a client: at its deadline, a connection's receiving half is shut down.

    uWSGI reads in C until all bytes are there, and only that wakes it. Owns a thread while bodies are read.
    """

    def __init__(self, tick_seconds: float = TICK_SECONDS) -> None:
        self._tick_seconds = tick_seconds
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}
        self._idle_ticks = 0
        self._runs = False

    @contextmanager
    def watch(self, connection: int, deadline: float) -> Iterator[None]:
        """Let what waits for ``connection`` read the end of it once ``time.monotonic()`` reaches ``deadline``."""
        with self._lock:
            self._deadlines[connection] = deadline
            self._idle_ticks = 0
            if not self._runs:
                with suppress(RuntimeError):  # no thread can be started: the next body tries again, and limits this one
                    threading.Thread(target=self._run, name="deadlines", daemon=True).start()
                    self._runs = True
        try:
            yield
        finally:
            with self._lock:  # held while a connection is shut down: its number may be another's afterwards
                del self._deadlines[connection]

    def _run(self) -> None:
        while self._tick():
            time.sleep(self._tick_seconds)

    def _tick(self) -> bool:
        with self._lock:
            for connection, deadline in self._deadlines.items():
                if time.monotonic() > deadline:
                    _stop_receiving(connection)
            self._idle_ticks = 0 if self._deadlines else self._idle_ticks + 1
            self._runs = self._idle_ticks < IDLE_TICKS
            return self._runs


def _stop_receiving(connection: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(connection)) as client:
        client.shutdown(socket.SHUT_RD)
