"""What the server that hosts this process can tell: uWSGI's own module, or nothing under any other server."""

import faulthandler
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

uwsgi: ModuleType | None
try:
    import uwsgi  # type: ignore[import-untyped, no-redef]  # exists only inside a uWSGI process
except ImportError:
    uwsgi = None

log = logging.getLogger(__name__)

#: The most bytes of a body that are read and thrown away, so that the client hears why it was refused, not a reset.
DISCARD = 256 * 2**20

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


def end_instance() -> NoReturn:
    """End this worker and the server with it, since starting the worker again would not help.

    uWSGI's master is told to, and ends with status 0: an exit status that means this is heard only with lazy-apps.
    gunicorn's arbiter ends by itself on the status that it calls APP_LOAD_ERROR.
    """
    if uwsgi is not None and uwsgi.masterpid():
        os.kill(uwsgi.masterpid(), signal.SIGINT)
    os._exit(4)


def end_worker(reason: str) -> NoReturn:
    """End this worker at once, after writing to the log where each of its threads is; the server starts another."""
    log.critical("%s; this worker ends and is replaced", reason)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(70)


def is_stopping() -> bool:
    """Tell whether uWSGI's master waits for its workers to end.

    It does so inside its handler for SIGTERM or SIGINT (``hook-master-start`` in uwsgi.ini), where the kernel blocks
    that signal; it says so nowhere else.
    """
    assert uwsgi is not None
    try:
        status = Path(f"/proc/{uwsgi.masterpid()}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    return any(blocked & 1 << number - 1 for number in (signal.SIGTERM, signal.SIGINT))


def is_respawn() -> bool:
    """Tell whether an earlier process of this uWSGI worker has served before."""
    return uwsgi is not None and uwsgi.worker_id() > 0 and _this_worker()["respawn_count"] > 0


def worker_number() -> int:
    """Return the number of this worker, counted from 1."""
    return max(1, uwsgi.worker_id()) if uwsgi is not None else 1


def worker_count() -> int:
    """Return how many processes share this machine's cores."""
    return int(uwsgi.numproc) if uwsgi is not None else 1


def address() -> str:
    """Return where uWSGI listens, for a person to read."""
    assert uwsgi is not None
    options: dict[str, bytes] = uwsgi.opt
    if "http-socket" in options:
        return f"http://{options['http-socket'].decode()}"
    return options.get("socket", b"the socket that systemd holds").decode()


def run_dir() -> Path | None:
    """Return the directory of the master's fifo and statistics; None if no such master runs this process."""
    return Path(uwsgi.opt["stats"].decode()).parent if uwsgi is not None and "stats" in uwsgi.opt else None


def read_chunked(limit: int) -> tuple[bytes, int]:
    """Read a chunked request body through uWSGI: its first ``limit`` bytes, and how long it was.

    A client that stalls or goes away has its body cut there, which the JSON reader then reports.
    """
    assert uwsgi is not None
    body, length = bytearray(), 0
    try:
        while length <= DISCARD and (chunk := uwsgi.chunked_read()):
            body += chunk[: max(0, limit - length)]
            length += len(chunk)
    except OSError:
        pass
    return bytes(body), length


def client_is_gone(environ: dict[str, Any]) -> bool:
    """Tell whether the client of the request being served has closed its connection.

    A half-closed connection counts as closed, as it does for nginx: after a FIN the kernel cannot tell the two apart.
    """
    connection = _connection(environ)
    if connection is None:
        return False
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP)
    return bool(poller.poll(0))


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


def _connection(environ: dict[str, Any]) -> int | socket.socket | None:
    if uwsgi is not None:
        return int(uwsgi.connection_fd())
    gunicorn: socket.socket | None = environ.get("gunicorn.socket")
    return gunicorn


def _this_worker() -> dict[str, Any]:
    assert uwsgi is not None
    worker: dict[str, Any] = uwsgi.workers()[uwsgi.worker_id() - 1]
    return worker
