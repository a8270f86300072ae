"""Where this process stands relative to the fork, and how it behaves while it loads.

CUDA, torch's OpenMP pool and Python threads do not survive a fork: a model must be loaded in the process that serves.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from service.errors import ForkedAfterLoad, StartError
from service.hosting import uwsgi

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
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make it now; in a process that is going to fork, arrange that each child makes it before it serves.

        Raises:
            StartError: it cannot be made.
        """
        if not uwsgi.will_fork():
            die_on_signals()
            self._load()
            return
        log.warning(
            "this process forks its workers after it imported the app; each will load a model of its own. %s",
            uwsgi.ADVICE,
        )
        uwsgi.after_fork(self._load_or_exit)

    def get(self) -> Value:
        """Return this process's own.

        Raises:
            ForkedAfterLoad: it was made before the fork, and with torch, which cannot start again in a forked process.
        """
        if self._owner != os.getpid():
            with self._lock:
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

    def _load_or_exit(self) -> None:
        die_on_signals()
        try:
            self._load()
        except StartError as error:
            log.error("worker %d cannot start: %s", uwsgi.worker_number(), error)  # noqa: TRY400  # for an operator
            if uwsgi.is_respawn():
                os._exit(1)
            uwsgi.end_instance()


@contextmanager
def loading() -> Iterator[None]:
    """Guard the creation of the app: a StartError is one line for an operator, not a traceback.

    Raises:
        Exception: whatever the guarded code raised, if this worker starts for the first time: uWSGI's ``need-app`` then
            ends the whole instance. A worker that was respawned exits alone and is tried again, since there
            ``need-app`` would take a running service down with it.
    """
    try:
        yield
    except StartError as error:
        log.error("worker %d cannot start: %s", uwsgi.worker_number(), error)  # noqa: TRY400  # for an operator
        if not uwsgi.is_respawn():
            sys.tracebacklimit = 0
            raise
        os._exit(1)
    except Exception:
        if not uwsgi.is_respawn():
            raise
        log.exception("worker %d cannot start", uwsgi.worker_number())
        os._exit(1)


def die_on_signals() -> None:
    """Let a signal end this worker at once until uWSGI, which ignores them so far, sets its own handlers after load.

    A stop that came before this was ignored, and the master would wait for this worker for ever: it ends here.
    """
    if uwsgi.is_present():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if uwsgi.is_stopping():
            os._exit(0)
