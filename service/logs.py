"""The log: plain text, or lines with a priority where standard error is systemd's journal."""

import logging
import os
import sys
from collections.abc import Mapping

#: From sd-daemon(3).
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class JournalFormatter(logging.Formatter):
    """Begin every line of a record, a traceback's too, with the priority that the journal reads and removes."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up_logging(environ: Mapping[str, str] = os.environ) -> None:
    """Log to standard error: with priorities in the journal, with names of levels elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if is_journal(environ) else logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_journal(environ: Mapping[str, str]) -> bool:
    """Compare standard error with the stream that systemd opened, as systemd.exec(5) says to."""
    try:
        stat = os.fstat(2)
    except OSError:  # closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"
