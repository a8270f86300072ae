"""What systemd has opened is checked like what EMBED_SOCKET names."""

import socket
from contextlib import contextmanager

import pytest

from service.errors import BadSetting
from service.hosting import preflight


@contextmanager
def held(monkeypatch, address, family=socket.AF_INET):
    """A socket, as systemd passes it on; it does not listen."""
    with socket.socket(family) as bound:
        bound.bind(address)
        monkeypatch.setenv("LISTEN_FDS", "1")
        yield bound.fileno()


def test_a_held_socket_that_other_machines_reach_is_refused(monkeypatch):
    with (
        held(monkeypatch, ("0.0.0.0", 0)) as number,
        pytest.raises(BadSetting, match=r"^ListenStream=0.0.0.0:\d+ of the socket unit: the uwsgi protocol trusts"),
    ):
        preflight.check_held_sockets(number)


def test_a_held_socket_on_loopback_is_accepted(monkeypatch):
    with held(monkeypatch, ("127.0.0.1", 0)) as number:
        preflight.check_held_sockets(number)


def test_a_held_unix_socket_is_accepted(monkeypatch, tmp_path):
    with held(monkeypatch, str(tmp_path / "socket"), socket.AF_UNIX) as number:
        preflight.check_held_sockets(number)


def test_a_descriptor_that_is_no_socket_is_left_to_uwsgi(monkeypatch, tmp_path):
    monkeypatch.setenv("LISTEN_FDS", "1")
    with (tmp_path / "file").open("w") as file:
        preflight.check_held_sockets(file.fileno())


def test_a_killed_masters_workers_are_waited_for(monkeypatch, tmp_path):
    """They listen until they notice its end."""
    path, asked = tmp_path / "socket", []
    monkeypatch.setattr(preflight, "ORPHANS_SECONDS", 300)
    monkeypatch.setattr(preflight, "_answers", lambda each: asked.append(each) or len(asked) < 3)

    assert not preflight._is_taken(str(path))
    assert len(asked) == 3


def test_without_systemd_nothing_is_checked(monkeypatch):
    monkeypatch.delenv("LISTEN_FDS", raising=False)

    preflight.check_held_sockets()
