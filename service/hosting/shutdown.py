"""How this process ends: at once, alone or with its server."""

import faulthandler
import fcntl
import logging
import os
import select
import signal
import sys
from pathlib import Path
from typing import NoReturn

from service.hosting import uwsgi

log = logging.getLogger(__name__)


def end_instance() -> NoReturn:
    """End this worker and the server with it, since starting the worker again would not help.

    uWSGI's master is told to, and ends with status 0: an exit status that means this is heard only with lazy-apps.
    gunicorn's arbiter ends by itself on the status that it calls APP_LOAD_ERROR.
    """
    if uwsgi.master_pid():
        os.kill(uwsgi.master_pid(), signal.SIGINT)
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
    try:
        status = Path(f"/proc/{uwsgi.master_pid()}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    return any(blocked & 1 << number - 1 for number in (signal.SIGTERM, signal.SIGINT))


def die_on_signals() -> None:
    """Let a signal end this worker at once until uWSGI, which ignores them so far, sets its own handlers after load.

    A stop that came before this was ignored, and the master would wait for this worker for ever: it ends here.
    """
    if uwsgi.is_present():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if is_stopping():
            os._exit(0)


def die_with_stdin() -> None:
    """Let the kernel end this process when the other end of its standard input, a pipe, is closed.

    A thread that reads the pipe would need Python's lock, which a compiler may hold for minutes.
    """
    fcntl.fcntl(sys.stdin, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sys.stdin, fcntl.F_SETFL, os.O_ASYNC)  # SIGIO, which ends a process unless it is handled
    if select.select([sys.stdin], [], [], 0)[0]:  # closed already
        os._exit(1)
