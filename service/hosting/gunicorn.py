"""gunicorn from inside: a worker runs under its arbiter's ``spawn_worker``, whose variables are both objects."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from service.hosting import stack

#: gunicorn kills a worker that is silent for its ``timeout``, 30 seconds by default.
HEARTBEAT_SECONDS = 1.0


def is_arbiter() -> bool:
    """Tell whether gunicorn will fork this process."""
    return "gunicorn.arbiter" in sys.modules and _worker() is None


def worker_count() -> int:
    """Return how many workers the arbiter of this worker keeps; 0 outside a worker."""
    call = _worker()
    return int(call["self"].num_workers) if call else 0


def after_fork(load: Callable[[], None]) -> None:
    """Call ``load`` in each worker that this arbiter forks, and in no other child of it or of a worker."""
    arbiter = os.getpid()

    def load_in_worker() -> None:
        if os.getppid() == arbiter and _worker():
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(
                    number, signal.SIG_DFL
                )  # the arbiter's would lose a stop; gunicorn sets the worker's later
            load()

    os.register_at_fork(after_in_child=load_in_worker)


@contextmanager
def heartbeat() -> Iterator[None]:
    """Tell the arbiter that this worker lives while it loads, however long that takes."""
    call = _worker()
    if call is None:
        yield
        return
    loaded = threading.Event()
    thread = threading.Thread(target=_beat, args=(call["worker"], loaded), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loaded.set()
        thread.join()


def _beat(worker: Any, loaded: threading.Event) -> None:
    while not loaded.wait(HEARTBEAT_SECONDS):
        worker.notify()


def _worker() -> dict[str, Any] | None:
    call = stack.find_call("gunicorn.arbiter", "spawn_worker")
    return call if call and call["self"].pid != os.getpid() else None  # pre_fork hooks run in the arbiter
