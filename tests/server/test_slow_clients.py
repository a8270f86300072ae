"""Clients that send slowly, on the HTTP port."""

import json
import socket
import threading
from contextlib import suppress

import pytest

from tests.deploy.stage import copy_tree

pytestmark = [pytest.mark.server, pytest.mark.model]


@pytest.fixture
def hasty(start, tmp_path):
    """A service that waits for a body for two seconds, and not for sixty."""
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    module = tree / "service/hosting/deadlines.py"
    module.write_text(module.read_text().replace("MAX_BODY_SECONDS = 60.0", "MAX_BODY_SECONDS = 2.0"))
    return start(cwd=tree, ini=tree / "uwsgi.ini").wait_until_ready()


@pytest.mark.parametrize("head", [b"Content-Length: 10000", b"Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_body_that_trickles_in_is_given_up(hasty, head):
    """Each byte comes within uWSGI's own timeout."""
    ended = threading.Event()
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as connection:
        connection.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n2000\r\n")

        def trickle():
            with suppress(ConnectionError):  # the service has answered and closed
                while not ended.wait(0.1):
                    connection.send(b"x")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        answer = b""
        with suppress(ConnectionError):  # a byte came after it had closed
            while piece := connection.recv(65536):
                answer += piece
                ended.set()
        thread.join()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert "did not arrive within 2 seconds" in json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
