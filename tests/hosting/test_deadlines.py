"""A body that arrives too slowly is given up, and others are not."""

import socket
import threading
import time

import pytest

from service.hosting import deadlines
from service.hosting.deadlines import Deadlines

SOON = 0.01


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "deadlines"]


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(SOON)


def test_a_read_past_its_deadline_ends_and_can_be_answered(pair):
    ours, theirs = pair
    with Deadlines(SOON).watch(ours.fileno(), time.monotonic() + SOON):
        assert ours.recv(1) == b""
    ours.sendall(b"408")

    assert theirs.recv(3) == b"408"


def test_a_read_before_its_deadline_is_left_alone(pair):
    ours, theirs = pair
    watcher = Deadlines(SOON)
    with watcher.watch(ours.fileno(), time.monotonic() + 600):
        threading.Timer(10 * SOON, theirs.sendall, [b"x"]).start()

        assert ours.recv(1) == b"x"


def test_a_connection_is_forgotten_after_the_read(pair, monkeypatch):
    ours, theirs = pair
    watcher, now = Deadlines(SOON), [0]
    monkeypatch.setattr(deadlines.time, "monotonic", lambda: now[0])
    with watcher.watch(ours.fileno(), 10):
        pass
    now[0] = 20
    other, far = socket.socketpair()
    with other, far, watcher.watch(other.fileno(), 10):
        assert other.recv(1) == b""
    theirs.sendall(b"x")

    assert ours.recv(1) == b"x"


def test_the_thread_ends_when_no_body_is_read(pair, monkeypatch):
    monkeypatch.setattr(deadlines, "IDLE_TICKS", 1)
    watcher = Deadlines(SOON)
    for _ in range(2):
        with watcher.watch(pair[0].fileno(), time.monotonic() + 600):
            assert threads()
        wait_until(lambda: not threads())


def cannot_start(_):
    raise RuntimeError("can't start new thread")


def test_the_next_body_starts_a_thread_that_did_not_start(pair, monkeypatch):
    ours, theirs = pair
    watcher = Deadlines(SOON)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        with watcher.watch(ours.fileno(), 0):
            theirs.sendall(b"x")
            assert ours.recv(1) == b"x"

    with watcher.watch(ours.fileno(), 0):
        assert ours.recv(1) == b""
