"""What systemd hears."""

import logging
import os
import socket

import pytest

from service.hosting import systemd


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


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:2:1", "/" + "a" * 200])
def test_readiness_that_cannot_be_told_is_a_warning(caplog, address):
    with caplog.at_level(logging.WARNING):
        systemd.say_ready("answering", {systemd.READY_SOCKET: address})

    assert f"READY_SOCKET={address}: " in caplog.text
    assert "the service works" in caplog.text


def test_a_socket_that_systemd_opened_is_known():
    assert systemd.holds_socket({"LISTEN_FDS": "1"})
    assert not systemd.holds_socket({})
