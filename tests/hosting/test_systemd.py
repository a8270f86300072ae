"""What systemd hears."""

import logging
import os
import socket
import sys

import pytest

from service.hosting import systemd


def formatted(level, message, exc_info=None):
    record = logging.LogRecord("name", level, "path", 1, message, None, exc_info)
    return systemd.JournalFormatter().format(record)


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


def test_standard_error_is_the_journal_only_if_it_is_the_stream_that_systemd_opened():
    stat = os.fstat(2)

    assert systemd.is_journal({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    assert not systemd.is_journal({"JOURNAL_STREAM": "1:1"})
    assert not systemd.is_journal({})


@pytest.mark.parametrize("shown", ["{path}", "@{name}"], ids=["path", "abstract"])
def test_readiness_is_told_where_the_unit_says(tmp_path, shown):
    name = f"embeddings-test-{os.getpid()}"
    address = shown.format(path=tmp_path / "notify", name=name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        systemd.say_ready("answering", {systemd.READY_SOCKET: address})

        assert listener.recv(1000) == b"READY=1\nSTATUS=answering"


def test_where_nobody_asked_nothing_is_told():
    systemd.say_ready("answering", {})
