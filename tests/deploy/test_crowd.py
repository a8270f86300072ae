"""More clients at a time than nginx has connections: each of them gets an answer."""

import http.client
import json
import re
import resource
import selectors
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.programs import program

pytestmark = pytest.mark.deploy

#: As in deploy/nginx/snippets/embeddings.conf.
LIMIT = 256

#: What systemd lets nginx open.
OPEN_FILES = 1024

REQUEST = b'POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"input": "a"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def many_files():
    """Sockets for the clients; nginx has its own limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[1], 8192), max(before[1], 8192)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Crowd:
    """Clients that have sent a request each, and keep their connections until the end."""

    def __init__(self, port, size):
        self.port = port
        with ThreadPoolExecutor(32) as pool:
            self.clients = list(pool.map(self.join, range(size)))
        self.waiting = selectors.DefaultSelector()
        for client in self.clients:
            self.waiting.register(client, selectors.EVENT_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.waiting.close()
        for client in self.clients:
            client.close()

    def join(self, _):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall(REQUEST)
        return client

    def collect(self, number):
        """The next answers."""
        answers = []
        while len(answers) < number:
            ready = self.waiting.select(60)
            assert ready, f"{len(answers)} of {number} answers"
            answers += [read(self.waiting.unregister(key.fileobj).fileobj) for key, _ in ready]
        return answers


def read(client):
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, answer.headers, answer.read()


@pytest.mark.usefixtures("many_files")
def test_a_crowd_gets_its_answers(nginx, held, port):
    """This test is the service: nobody is answered before the others are refused."""
    proxy = nginx(prefix=[program("prlimit"), f"--nofile={OPEN_FILES}"])
    (connections,) = re.findall(r"worker_connections (\d+);", (proxy.etc / "nginx.conf").read_text())
    held.settimeout(60)
    with Crowd(port, 3 * int(connections)) as crowd:
        refused = crowd.collect(len(crowd.clients) - LIMIT)
        for _ in range(LIMIT):
            connection, _ = held.accept()
            connection.recv(65536)
            connection.sendall(ANSWER)
            connection.close()
        served = crowd.collect(LIMIT)
    _, headers, body = refused[0]

    assert {status for status, _, _ in refused} == {429}
    assert Counter(status for status, _, _ in served) == {200: LIMIT}
    assert headers["Retry-After"] == "1"
    assert json.loads(body)["error"]["type"] == "rate_limit_error"
