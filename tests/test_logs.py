"""The log, in a terminal and in systemd's journal."""

import logging
import os
import subprocess
import sys

import pytest

from service import logs
from tests.programs import program


def formatted(level, message, exc_info=None):
    record = logging.LogRecord("name", level, "path", 1, message, None, exc_info)
    return logs.JournalFormatter().format(record)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [(logging.CRITICAL, "<2>"), (logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>")],
)
def test_a_line_for_the_journal_begins_with_its_priority(level, prefix):
    assert formatted(level, "a message") == prefix + "a message"


def test_every_line_of_a_traceback_has_the_priority():
    try:
        int("no number")
    except ValueError:
        lines = formatted(logging.ERROR, "it failed", sys.exc_info()).splitlines()

    assert len(lines) > 2
    assert all(line.startswith("<3>") for line in lines)


def test_only_the_stream_that_systemd_opened_is_the_journal():
    stat = os.fstat(2)

    assert logs.is_journal({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    assert not logs.is_journal({"JOURNAL_STREAM": "1:1"})
    assert not logs.is_journal({})


def test_a_closed_standard_error_is_no_journal():
    code = "from service import logs; print(logs.is_journal({'JOURNAL_STREAM': '1:1'}))"
    command = [program("sh"), "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
