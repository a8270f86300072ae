"""Notices that the head of a cluster is lost before Ray does, which ends the process without a sentence."""

import socket
import threading
import time
from collections.abc import Callable

#: The time between two tries, and the longest that one takes.
PROBE_SECONDS = 5.0

#: So many tries in a row fail before the head counts as lost. Ray waits 60 s for one that may come back.
LOST_PROBES = 9


class Watch:
    """Owns a thread that tries whether an address accepts connections.

    Args:
        host: of the address.
        port: of the address.
        lose: called once, with the reason, when it has accepted none for too long.
        probe_seconds: the time between two tries.
    """

    def __init__(
        self, host: str, port: int, lose: Callable[[str], object], probe_seconds: float = PROBE_SECONDS
    ) -> None:
        self._address = host, port
        self._lose = lose
        self._probe_seconds = probe_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop trying and join the thread."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        failed = 0  # tries are counted, not seconds: a process that was suspended has tried nothing
        while failed < LOST_PROBES:
            started = time.monotonic()
            failed = 0 if self._answers() else failed + 1
            if self._closed.wait(max(0.0, started + self._probe_seconds - time.monotonic())):
                return
        host, port = self._address
        self._lose(f"nobody has answered at {host}:{port} for {LOST_PROBES * self._probe_seconds:.0f} seconds")

    def _answers(self) -> bool:
        try:
            socket.create_connection(self._address, self._probe_seconds).close()
        except OSError:
            return False
        return True
