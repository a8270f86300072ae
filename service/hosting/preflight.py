"""Check the settings and the model before any worker exists. ``uwsgi.ini`` runs this file by its path.

The check is a program of its own, ``python -m service check``: workers would inherit what their master imports, and a
rolling reload could not renew it.
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).parent.parent.parent
STOP = (signal.SIGINT, signal.SIGTERM)

#: Holds the operator's EMBED_REVISION while the commit takes its place. uWSGI keeps the environment when it executes
#: itself again (``echo r > run/fifo``), and has to resolve a branch anew.
ASKED_REVISION = "SERVICE_ASKED_REVISION"


def check() -> int:
    """Run the check and return its exit status; a stop ends both the check and this process.

    uWSGI ignores SIGTERM until its master loop, and the check may download and compile a model for minutes.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # until the handlers know the child
    python = f"{sys.prefix}/bin/python"  # sys.executable is uWSGI
    unpin_revision()
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [python, "-m", "service", "check"]
    reader, writer = os.pipe()
    to_pipe = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    child = os.posix_spawn(python, command, environ, file_actions=to_pipe, setpgroup=0, setsigmask=[], setsigdef=STOP)
    os.close(writer)

    def stop(number: int, _: FrameType | None) -> NoReturn:
        with suppress(ProcessLookupError):
            os.killpg(child, number)
        os._exit(0)

    before = {number: signal.signal(number, stop) or signal.SIG_DFL for number in STOP}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    with os.fdopen(reader, encoding="ascii") as output:
        pin_revision(output.read().strip())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number, handler in before.items():
        signal.signal(number, handler)
    return status


def pin_revision(commit: str) -> None:
    """Have the workers, which inherit the environment, serve this commit of the model; "" if it has none."""
    if commit:
        os.environ[ASKED_REVISION] = os.environ.get("EMBED_REVISION", "")
        os.environ["EMBED_REVISION"] = commit


def unpin_revision() -> None:
    """Undo ``pin_revision``."""
    asked = os.environ.pop(ASKED_REVISION, None)
    if asked is not None:
        os.environ["EMBED_REVISION"] = asked


if not __package__ and check():  # imported as a part of the service, this starts nothing
    sys.exit(1)
