"""uWSGI's own module behind typed functions; under any other server it is absent."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

uwsgi: ModuleType | None
try:
    import uwsgi  # type: ignore[import-untyped, no-redef]  # exists only inside a uWSGI process
except ImportError:
    uwsgi = None

#: What to tell whoever starts a server so that the app is imported before the fork.
ADVICE = (
    "Let each worker import the app instead (uWSGI: lazy-apps = true; gunicorn: no --preload), "
    "so that a reload brings new code too"
)


def is_present() -> bool:
    """Tell whether uWSGI hosts this process."""
    return uwsgi is not None


def will_fork() -> bool:
    """Tell whether the server is going to fork this process for its workers, as far as that can be seen from here."""
    if uwsgi is not None:  # its master, or the first of several processes without one
        return bool(uwsgi.worker_id() == 0 and (uwsgi.masterpid() != 0 or uwsgi.numproc > 1))
    return _is_gunicorns_arbiter()


def after_fork(load: Callable[[], None]) -> None:
    """Have ``load`` called in each process that the server forks off this one, before it serves.

    uWSGI forks in C, where os.register_at_fork is never heard of, and has a hook of its own.
    """
    if uwsgi is not None:
        uwsgi.post_fork_hook = load  # type: ignore[attr-defined]  # its decorators set it the same way
    else:
        os.register_at_fork(after_in_child=load)


def is_respawn() -> bool:
    """Tell whether an earlier process of this uWSGI worker has served before."""
    return uwsgi is not None and uwsgi.worker_id() > 0 and _this_worker()["respawn_count"] > 0


def worker_number() -> int:
    """Return the number of this worker, counted from 1."""
    return max(1, uwsgi.worker_id()) if uwsgi is not None else 1


def worker_count() -> int:
    """Return how many processes share this machine's cores."""
    return int(uwsgi.numproc) if uwsgi is not None else 1


def master_pid() -> int:
    """Return the master's process id; 0 without a master."""
    return int(uwsgi.masterpid()) if uwsgi is not None else 0


def connection() -> int | None:
    """Return the descriptor of the connection that this thread serves; None outside uWSGI."""
    return int(uwsgi.connection_fd()) if uwsgi is not None else None


def read_chunk() -> bytes:
    """Return the next chunk of a chunked request body; b"" at its end.

    Raises:
        OSError: the client stalled or went away.
    """
    assert uwsgi is not None
    return bytes(uwsgi.chunked_read())


def run_dir() -> Path | None:
    """Return the directory of the master's fifo and statistics; None if no such master runs this process."""
    return Path(uwsgi.opt["stats"].decode()).parent if uwsgi is not None and "stats" in uwsgi.opt else None


def _is_gunicorns_arbiter() -> bool:
    """Look for gunicorn in this process, and on the stack for the call that distinguishes its workers."""
    if "gunicorn.arbiter" not in sys.modules:
        return False
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # the documented way to one's own stack
    while frame is not None:
        if frame.f_code.co_name == "spawn_worker" and frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return False
        frame = frame.f_back
    return True


def _this_worker() -> dict[str, Any]:
    assert uwsgi is not None
    worker: dict[str, Any] = uwsgi.workers()[uwsgi.worker_id() - 1]
    return worker
