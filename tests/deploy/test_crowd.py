"""More clients at a time than nginx has connections: each of them gets an answer."""

import asyncio
import json
import re
import resource
import threading
import time
from collections import Counter

import pytest

from tests.programs import program

pytestmark = pytest.mark.deploy

#: Small, so that all clients have sent their requests before nginx takes them for idle, however busy the machine is.
LIMIT = 40
CONNECTIONS = 120

#: What systemd lets nginx open.
OPEN_FILES = 1024

REQUEST = b'POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"input": "a"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Crowd:
    """Clients that send a request each and keep their connections until the end."""

    def __init__(self, port, size):
        self.port, self.size = port, size
        self.answers = []
        self.failures = Counter()
        self.done = asyncio.Event()

    async def run(self):
        clients = [asyncio.create_task(self.ask()) for _ in range(self.size)]
        await asyncio.wait_for(asyncio.gather(*clients), 300)

    async def ask(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
            self.answers.append((int(head.split()[1]), head, body))
        except (OSError, EOFError) as error:
            self.failures[repr(error)] += 1
        if len(self.answers) + self.failures.total() == self.size:
            self.done.set()
        await self.done.wait()
        writer.close()


def answer_late(held, crowd):
    """In place of the service: take ``LIMIT`` requests, and answer them once the others are refused."""
    waiting = [held.accept()[0] for _ in range(LIMIT)]
    while len(crowd.answers) + crowd.failures.total() < crowd.size - LIMIT:
        time.sleep(0.05)
    for connection in waiting:
        connection.recv(65536)
        connection.sendall(ANSWER)
        connection.close()


@pytest.fixture
def many_files():
    """Sockets for the clients; nginx has its own limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[1], 8192), max(before[1], 8192)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_a_crowd_gets_its_answers(nginx, held, port):
    limits = {
        "worker_connections 768": f"worker_connections {CONNECTIONS}",
        "limit_conn embeddings_requests 256": f"limit_conn embeddings_requests {LIMIT}",
    }
    nginx(replaced=limits, prefix=[program("prlimit"), f"--nofile={OPEN_FILES}"])
    crowd = Crowd(port, 3 * CONNECTIONS)
    service = threading.Thread(target=answer_late, args=(held, crowd), daemon=True)
    service.start()
    asyncio.run(crowd.run())
    statuses = Counter(status for status, _, _ in crowd.answers)
    _, head, body = next(answer for answer in crowd.answers if answer[0] == 429)

    assert crowd.failures == {}
    assert statuses[200] == LIMIT
    assert set(statuses) == {200, 429}
    assert b"\r\nRetry-After: 1\r\n" in head
    assert json.loads(body)["error"]["type"] == "rate_limit_error"
