"""Where this process stands relative to the fork, and how it behaves while it loads.

CUDA, torch's OpenMP pool and Python threads do not survive a fork: a model must be loaded in the process that serves.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from service import host
from service.errors import StartError, WouldFork


@contextmanager
def loading() -> Iterator[None]:
    """Guard the code that loads the model: refuse before a fork, stop at once on a signal, fail in one line.

    Raises:
        WouldFork: uWSGI is going to fork this process.
        StartError: whatever the guarded code raised, if this worker starts for the first time: uWSGI's ``need-app``
            then ends the whole instance. A worker that was respawned exits alone and is tried again, since there
            ``need-app`` would take a running service down with it.
    """
    sys.tracebacklimit = 0  # a StartError is one line for an operator, not a traceback
    try:
        refuse_before_fork()
        die_on_signals()
        yield
    except StartError as error:
        if not host.is_respawn():
            raise
        print(f"worker {host.worker_number()} cannot start: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    del sys.tracebacklimit


def refuse_before_fork() -> None:
    """Raise WouldFork, with the fix in its message, in a process that is going to fork."""
    if host.will_fork():
        raise WouldFork(
            "this process is going to fork, and a model loaded before the fork cannot be used after it: "
            "add `lazy-apps = true` to the ini (or --lazy-apps), so that each worker loads its own"
        )


def die_on_signals() -> None:
    """Let a signal end this worker at once until uWSGI, which ignores them so far, sets its own handlers after load."""
    if host.uwsgi is not None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
