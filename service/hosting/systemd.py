"""What systemd is told: how grave a line of the log is, and that requests are answered."""

import logging
import os
import socket
import sys
from collections.abc import Mapping

#: Where to say that the service is ready. uWSGI says so on NOTIFY_SOCKET before a worker has loaded its model, so
#: deploy/systemd/embeddings.service hides that name from it and gives the address under this one.
READY_SOCKET = "READY_SOCKET"

#: From sd-daemon(3).
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class JournalFormatter(logging.Formatter):
    """Begin every line of a record, a traceback's too, with the priority that the journal reads off and removes."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up_logging(environ: Mapping[str, str] = os.environ) -> None:
    """Log to standard error, with priorities where that is the journal and with names of levels elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if is_journal(environ) else logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_journal(environ: Mapping[str, str]) -> bool:
    """Tell whether standard error is the journal, as systemd.exec(5) says to: a child may have redirected it."""
    stat = os.fstat(2)
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def say_ready(status: str, environ: Mapping[str, str] = os.environ) -> None:
    """Let ``systemctl start`` return, if it is what waits, and show ``status`` in ``systemctl status``."""
    address = environ.get(READY_SOCKET)
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        abstract = address.startswith("@")
        connection.sendto(f"READY=1\nSTATUS={status}".encode(), "\0" + address[1:] if abstract else address)
