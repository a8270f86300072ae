"""Whether the head of a cluster still answers."""

import socket
from contextlib import closing
from queue import SimpleQueue

import pytest

from service.bulk.watch import LOST_PROBES, Watch


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:  # of those that are not accepted yet
        yield server


@pytest.fixture
def reasons():
    return SimpleQueue()


def test_an_address_that_answers_is_not_lost(server, reasons):
    with closing(Watch(*server.getsockname(), reasons.put, probe_seconds=0.01)):
        for _ in range(2 * LOST_PROBES):
            server.accept()[0].close()

    assert reasons.empty()


def test_an_address_that_answers_no_more_is_lost(server, reasons):
    host, port = server.getsockname()
    with closing(Watch(host, port, reasons.put, probe_seconds=0.1)):
        server.close()

        assert reasons.get(timeout=60) == f"nobody has answered at {host}:{port} for 1 seconds"
