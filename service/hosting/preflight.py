"""Two checks before any worker exists. ``uwsgi.ini`` runs this file by its path, twice.

1. As a program, before uWSGI binds anything: the addresses, and that no other instance uses them.
2. In the master, before it forks: ``python -m service check``, which may download and compile a model. A program of
   its own, because workers inherit what their master imports, and a rolling reload could not renew it.
"""

import fcntl
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

log = logging.getLogger("service")

ROOT = Path(__file__).parent.parent.parent
STOP = (signal.SIGINT, signal.SIGTERM)

#: The workers of a killed master listen until they notice its end; on a busy machine the next one starts before.
ORPHANS_SECONDS = 5.0

#: Holds the operator's EMBED_REVISION while the commit takes its place. uWSGI keeps the environment when it executes
#: itself again (``echo r > run/fifo``), and has to resolve a branch anew.
ASKED_REVISION = "SERVICE_ASKED_REVISION"


def check_addresses() -> int:
    """Check addresses and queue, create the run directory; return 0, or 1 after one line that says what to change."""
    sys.path.insert(0, str(ROOT))
    from service import logs
    from service.errors import BadSetting

    logs.set_up_logging()
    run_dir = os.environ["EMBED_RUN_DIR"]
    if not _take_lock(run_dir):
        log.error("the service cannot start: %s", taken(run_dir))
        os.kill(os.getppid(), signal.SIGKILL)  # an exit of uWSGI would unlink the other instance's statistics
        return 1
    try:
        check_queue(int(os.environ.get("EMBEDDINGS_LISTEN", "0")))
        claim(run_dir)
    except BadSetting as error:
        log.error("the service cannot start: %s", error)  # noqa: TRY400  # one line for an operator
        return 1
    return 0


def claim(run_dir: str) -> None:
    """Check the addresses and create the run directory.

    Raises:
        BadSetting: one of them cannot be used.
    """
    from service import variables
    from service.errors import BadSetting

    given = variables.read(os.environ)
    check_held_sockets()
    try:
        Path(run_dir).mkdir(parents=True, exist_ok=True)
        lock(run_dir)
        make_metrics(Path(run_dir, "metrics"))
    except OSError as error:
        raise BadSetting(f"EMBED_RUN_DIR={run_dir}: {error.strerror}") from None
    if _is_first_start() and _is_taken(given.get("EMBED_SOCKET", "")):
        raise BadSetting(f"EMBED_SOCKET={given['EMBED_SOCKET']}: another process listens there")


def make_metrics(directory: Path) -> None:
    """Create the directory where workers count; only a reload, which is the same instance, goes on counting."""
    directory.mkdir(exist_ok=True)
    if not _is_reload():
        for file in directory.glob("*.db"):
            file.unlink()


def check_queue(listen: int, root: Path = Path("/")) -> None:
    """Compare uWSGI's ``listen`` with the kernel's limit; uWSGI refuses to start too, but names no fix.

    Raises:
        BadSetting: the kernel's limit is less.
    """
    from service.errors import BadSetting

    with suppress(OSError):
        limit = int((root / "proc/sys/net/core/somaxconn").read_text())
        if limit < listen:
            raise BadSetting(
                f"listen = {listen} in uwsgi.ini is more than net.core.somaxconn, which is {limit}; raise it with "
                f"`sysctl -w net.core.somaxconn={listen}` or lower listen"
            )


def check_held_sockets(first: int = 3) -> None:
    """Check the sockets that systemd has opened: descriptors from ``first``; see sd_listen_fds(3).

    Raises:
        BadSetting: other machines reach one of them.
    """
    from service import variables
    from service.errors import BadSetting

    for number in range(first, first + int(os.environ.get("LISTEN_FDS", "0"))):
        with (
            suppress(OSError),
            socket.socket(fileno=os.dup(number)) as held,
        ):  # OSError: uWSGI says that it is no socket
            if held.family != socket.AF_UNIX and not variables.is_loopback(held.getsockname()[0]):
                host, port = held.getsockname()[:2]
                raise BadSetting(f"ListenStream={host}:{port} of the socket unit: {variables.LOCAL_ONLY}")


def check_model() -> int:
    """Run ``python -m service check`` and return its exit status; a stop ends both the check and this process.

    uWSGI ignores SIGTERM until its master loop, and the check may take minutes.
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
        with suppress(ProcessLookupError, ChildProcessError):  # it has ended by itself
            os.killpg(child, number)
            os.waitpid(child, 0)
        os._exit(0)

    for number in STOP:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    with os.fdopen(reader, encoding="ascii") as output:
        pin_revision(output.read().strip())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number in STOP:  # until the master loop: uWSGI's SIG_IGN would lose a stop
        signal.signal(number, signal.SIG_DFL)
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


def lock(run_dir: str) -> None:
    """Lock the run directory until this process ends: a second uWSGI would take over its fifo and statistics.

    The kernel frees the lock even after SIGKILL, and workers do not inherit it.

    Raises:
        BlockingIOError: another process has it.
    """
    file = os.open(f"{run_dir}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def taken(run_dir: str) -> str:
    """Return why a locked directory is refused."""
    return f"EMBED_RUN_DIR={run_dir}: another instance uses this directory; give each its own"


def _take_lock(run_dir: str) -> bool:
    """Lock the directory for this process; return False if another instance has it already."""
    try:
        lock(run_dir)
    except BlockingIOError:
        return False
    except OSError:  # no such directory, for instance
        pass
    return True


def _is_first_start() -> bool:
    """Tell a first start from a reload, where uWSGI itself still holds its sockets."""
    return "LISTEN_FDS" not in os.environ and not _is_reload()


def _is_reload() -> bool:
    return os.environ.get("UWSGI_RELOADS", "0") != "0"


def _is_taken(path: str) -> bool:
    """Tell whether somebody listens on a Unix socket for longer than the workers of a killed master."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    while _answers(path):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


def _answers(path: str) -> bool:
    """Tell whether somebody listens on a Unix socket."""
    if "/" not in path:
        return False
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == 0


if __name__ == "__main__":
    sys.exit(check_addresses())
if not __package__:  # imported as a part of the service, this starts nothing
    with suppress(KeyError):  # a uwsgi.ini of one's own may have no run directory
        if not _take_lock(os.environ["EMBED_RUN_DIR"]):  # since the first check
            os.write(2, f"the service cannot start: {taken(os.environ['EMBED_RUN_DIR'])}\n".encode())
            os._exit(1)
    if check_model():
        sys.exit(1)
