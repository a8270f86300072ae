"""What the server that hosts this process can tell: uWSGI's own module, or nothing under any other server."""

import select
import socket
from types import ModuleType
from typing import Any

uwsgi: ModuleType | None
try:
    import uwsgi  # type: ignore[import-untyped, no-redef]  # exists only inside a uWSGI process
except ImportError:
    uwsgi = None

#: The most bytes of a body that are read and thrown away, so that the client hears why it was refused, not a reset.
DISCARD = 256 * 2**20


def will_fork() -> bool:
    """Tell whether uWSGI is going to fork this process: it is the master, or the first of several without one."""
    return uwsgi is not None and uwsgi.worker_id() == 0 and (uwsgi.masterpid() != 0 or uwsgi.numproc > 1)


def is_respawn() -> bool:
    """Tell whether an earlier process of this uWSGI worker has served before."""
    return uwsgi is not None and uwsgi.worker_id() > 0 and _this_worker()["respawn_count"] > 0


def worker_number() -> int:
    """Return the number of this worker, counted from 1."""
    return max(1, uwsgi.worker_id()) if uwsgi is not None else 1


def worker_count() -> int:
    """Return how many processes share this machine's cores."""
    return int(uwsgi.numproc) if uwsgi is not None else 1


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


def _connection(environ: dict[str, Any]) -> int | socket.socket | None:
    if uwsgi is not None:
        return int(uwsgi.connection_fd())
    gunicorn: socket.socket | None = environ.get("gunicorn.socket")
    return gunicorn


def _this_worker() -> dict[str, Any]:
    assert uwsgi is not None
    worker: dict[str, Any] = uwsgi.workers()[uwsgi.worker_id() - 1]
    return worker
