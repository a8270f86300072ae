"""What no process may inherit.

CUDA, torch's OpenMP pool and Python threads do not survive a fork: a model must be loaded in the process that serves.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from service.errors import ForkedAfterLoad
from service.hosting import server, shutdown, startup

log = logging.getLogger(__name__)

Value = TypeVar("Value")


class PerProcess(Generic[Value]):
    """Something that no process may inherit from the one that forked it: each that serves makes its own.

    Args:
        make: makes it; called at most once in a process.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._value: Value | None = None
        self._owner: int | None = None
        self._locks: dict[int, threading.Lock] = {}

    def prepare(self) -> None:
        """Make it now; in a process that is going to fork, arrange that each child makes it before it serves.

        Raises:
            StartError: it cannot be made.
        """
        if not server.will_fork():
            self._load()
            return
        log.warning(
            "this process forks its workers after it imported the app; each will load a model of its own. %s",
            server.ADVICE,
        )
        server.after_fork(self._load_after_fork)

    def get(self) -> Value:
        """Return this process's own.

        Raises:
            ForkedAfterLoad: it was made before the fork, and with torch, which cannot start again in a forked process.
        """
        if self._owner != os.getpid():
            # A lock for each process: one that another thread held at the fork stays locked in the child for ever.
            with self._locks.setdefault(os.getpid(), threading.Lock()):
                if self._owner != os.getpid():
                    self._load_late()
        assert self._value is not None
        return self._value

    def _load(self) -> None:
        self._value = self._make()
        self._owner = os.getpid()

    def _load_late(self) -> None:
        """Load on first use, in a process that forked where nobody could tell in advance."""
        if self._owner is not None and "torch" in sys.modules:
            raise ForkedAfterLoad(
                "this process was forked after the model was loaded, and torch does not start again in a forked "
                "process; import the app in the process that serves, or start that one with spawn"
            )
        self._load()

    def _load_after_fork(self) -> None:
        with startup.loading(shutdown.end_instance):
            self._load()
