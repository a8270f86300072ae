"""The log: text or JSON, in a terminal and in systemd's journal."""

import json
import logging
import os
import re
import subprocess
import sys

import pytest

from service import logs
from tests.programs import program

#: Ends of lines, a terminal's commands, half of a surrogate pair.
HOSTILE = "a\nERROR b\r\x0b\x1b[2J\x7f\x85\u2028\x9b\ud800"


def record(message="a message", level=logging.INFO, exc_info=None, **fields):
    made = logging.LogRecord("name", level, "path", 1, message, None, exc_info)
    made.fields = fields
    return made


def throw(message):
    raise ValueError(message)


def failure(message="it failed"):
    try:
        throw(message)
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize(
    ("level", "prefix"),
    [(logging.CRITICAL, "<2>"), (logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>")],
)
@pytest.mark.parametrize("render", [logs.as_text, logs.as_json])
def test_every_line_for_the_journal_begins_with_its_priority(render, level, prefix):
    lines = logs.LineFormatter(render, journal=True).format(record(level=level, exc_info=failure())).splitlines()

    assert len(lines) > 3 or render is logs.as_json
    assert all(line.startswith(prefix) for line in lines)


def test_a_line_of_text_has_time_level_pid_message_and_fields():
    (line,) = logs.as_dated_text(record("a message", texts=3, ms=0.25, model="a/b-c", path="/a b"))

    expected = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z INFO \[{os.getpid()}\] a message texts=3 ms=0.25 "
    assert re.fullmatch(expected + 'model=a/b-c path="/a b"', line)


def test_a_line_of_json_has_time_level_pid_message_and_fields():
    (line,) = logs.as_json(record("a message", logging.WARNING, texts=3, model="é"))
    entry = json.loads(line)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {"level": "warning", "pid": os.getpid(), "message": "a message", "texts": 3, "model": "é"}


@pytest.mark.parametrize("render", [logs.as_text, logs.as_dated_text, logs.as_json])
def test_a_message_and_its_fields_are_one_printable_line(render):
    (line,) = render(record(HOSTILE, path=HOSTILE))

    assert line.isprintable()


def test_json_keeps_what_text_escapes():
    (line,) = logs.as_json(record(HOSTILE, path=HOSTILE))

    assert json.loads(line)["path"] == json.loads(line)["message"] == HOSTILE


@pytest.mark.parametrize("render", [logs.as_text, logs.as_dated_text])
def test_an_error_cannot_begin_a_line_of_text(render):
    """Those of a traceback are indented."""
    first, *rest = render(record(exc_info=failure("a\n2026-01-01T00:00:00.000Z ERROR [1] forged\x1b[2J")))

    assert first.endswith(" a message")
    assert len(rest) > 3
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_a_traceback_is_a_field_of_json():
    (line,) = logs.as_json(record(exc_info=failure("it failed")))

    assert json.loads(line)["traceback"].endswith("\nValueError: it failed")


@pytest.mark.parametrize("render", [logs.as_text, logs.as_json])
def test_a_record_has_a_limited_length(render):
    lines = render(record("m" * 10**6, exc_info=failure("e" * 10**6)))

    assert len("".join(lines)) < logs.MAX_MESSAGE_CHARACTERS + logs.MAX_TRACEBACK_CHARACTERS + 200


@pytest.mark.parametrize(("value", "as_json"), [("json", True), ("text", False), ("", False), ("yaml", False)])
def test_the_format_is_a_setting(value, as_json):
    line = logs.choose_formatter({"EMBED_LOG_FORMAT": value}).format(record())

    assert line.startswith("{") == as_json


def test_only_the_stream_that_systemd_opened_is_the_journal():
    stat = os.fstat(2)

    assert logs.is_journal({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    assert not logs.is_journal({"JOURNAL_STREAM": "1:1"})
    assert not logs.is_journal({})


def test_a_closed_standard_error_is_no_journal():
    code = "from service import logs; print(logs.is_journal({'JOURNAL_STREAM': '1:1'}))"
    command = [program("sh"), "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
