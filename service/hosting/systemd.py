"""systemd: readiness notification and socket activation."""

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

#: uWSGI itself would report readiness on NOTIFY_SOCKET before a worker has loaded its model. So
#: deploy/systemd/embeddings.service hides that variable from it and passes the address in this one.
READY_SOCKET = "READY_SOCKET"


def holds_socket(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether systemd has opened the socket; see sd_listen_fds(3)."""
    return "LISTEN_FDS" in environ


def say_ready(status: str, environ: Mapping[str, str] = os.environ) -> None:
    """Let ``systemctl start`` return, and show ``status`` in ``systemctl status``.

    A failure is logged only: the service works, and ending it would help nobody.
    """
    address = environ.get(READY_SOCKET)
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            abstract = address.startswith("@")
            connection.sendto(f"READY=1\nSTATUS={status}".encode(), "\0" + address[1:] if abstract else address)
    except OSError as error:
        log.warning("%s=%s: %s; the service works, but systemd is not told", READY_SOCKET, address, error)
