"""The log on standard error: a line of text or a JSON object for each record, with a priority in systemd's journal.

Standard library only: ``hosting/preflight.py`` logs before any package is imported.

``log.info("a message", extra={"fields": {"texts": 3}})`` adds fields to a record.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

#: From sd-daemon(3).
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}

MAX_MESSAGE_CHARACTERS = 2000
MAX_TRACEBACK_CHARACTERS = 20_000

#: Terminals obey the first, readers of lines may end a line at the second, and UTF-8 has no form for the third.
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: A value that needs no quotes.
BARE = re.compile(r"[\w./:@+-]+", re.ASCII)

Render = Callable[[logging.LogRecord], list[str]]


class LineFormatter(logging.Formatter):
    """Begin every line of a record, a traceback's too, with the priority that the journal reads and removes."""

    def __init__(self, render: Render, *, journal: bool) -> None:
        super().__init__()
        self._render = render
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in self._render(record))


def set_up_logging(environ: Mapping[str, str] = os.environ) -> None:
    """Log to standard error as ``EMBED_LOG_FORMAT`` says; ``service.settings`` refuses a wrong value later."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(choose_formatter(environ))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Records without their caller and thread cost half; see Optimization in Python's logging HOWTO.
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logMultiprocessing = False


def choose_formatter(environ: Mapping[str, str]) -> LineFormatter:
    """Return the formatter for this format and this standard error."""
    journal = is_journal(environ)
    if environ.get("EMBED_LOG_FORMAT") == "json":
        return LineFormatter(as_json, journal=journal)
    return LineFormatter(as_text if journal else as_dated_text, journal=journal)


def as_dated_text(record: logging.LogRecord) -> list[str]:
    """Return text with the time and the level, which the journal keeps apart from it."""
    first, *rest = as_text(record)
    return [f"{_time(record)} {record.levelname} {first}", *rest]


def as_text(record: logging.LogRecord) -> list[str]:
    """Return ``[pid] message name=value ...``, and a traceback in indented lines."""
    pairs = "".join(f" {name}={_quote(value)}" for name, value in _fields(record).items())
    traceback = [f"  {_escape(line)}" for line in _traceback(record).splitlines()]
    return [f"[{record.process}] {_escape(_message(record))}{pairs}", *traceback]


def as_json(record: logging.LogRecord) -> list[str]:
    """Return one JSON object in ASCII."""
    entry = {"time": _time(record), "level": record.levelname.lower(), "pid": record.process}
    entry |= {"message": _message(record)} | _fields(record)
    if traceback := _traceback(record):
        entry["traceback"] = traceback
    return [_dump(entry)]


def is_journal(environ: Mapping[str, str]) -> bool:
    """Compare standard error with the stream that systemd opened, as systemd.exec(5) says to."""
    try:
        stat = os.fstat(2)
    except OSError:  # closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _message(record: logging.LogRecord) -> str:
    return record.getMessage()[:MAX_MESSAGE_CHARACTERS]


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _traceback(record: logging.LogRecord) -> str:
    """Return the traceback; the end of a long one, which has the error."""
    return logging.Formatter().formatException(record.exc_info)[-MAX_TRACEBACK_CHARACTERS:] if record.exc_info else ""


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _quote(value: object) -> str:
    if isinstance(value, str):
        return value if BARE.fullmatch(value) else _dump(value)
    return str(value)


def _dump(value: object) -> str:
    """Return JSON without control characters: ``json`` leaves DEL as it is."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def _escape(text: str) -> str:
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
