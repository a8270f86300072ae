"""The log of a real uWSGI: nothing that a client sends is in it but what belongs there."""

import json
import os
import re
import signal
import socket

import pytest
import requests

pytestmark = [pytest.mark.server, pytest.mark.model]

#: In texts, keys, header values and query strings: in no line.
SECRET = "S3CR3T"

#: A line that a client would like to write.
FORGED = "2026-01-01T00:00:00.000Z ERROR [1] forged"

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) \[\d+\] .*")


def exchange(service, head, body=b""):
    """Send bytes as they are; return the answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


HEADERS = (
    f"Authorization: Bearer {SECRET}\r\nUser-Agent: {SECRET}\x1b[2J\r\nX-Request-ID: {SECRET}\x1b\r\n"
    f"traceparent: {SECRET}\r\nX-Forwarded-For: {SECRET}\r\nContent-Encoding: {SECRET}\r\nHost: {SECRET}"
).encode()

PATHS = [
    f"/%0a{FORGED.replace(' ', '%20')}%1b[2J%c2%85%e2%80%a8%ff?{SECRET}".encode(),
    f"/\x1b[2J\x9b\x0b{FORGED.replace(' ', '_')}?{SECRET}=\x1b[2J".encode("latin-1"),
    b"/" + b"%1b" * 5000,
    b"/v1/models/%0a%1b",
    b"/livez?" + SECRET.encode(),
    b"*",
    b"//nowhere//x",
]

BODIES = [
    json.dumps({"input": SECRET, "model": SECRET, "user": SECRET}).encode(),
    json.dumps({"input": "a", "encoding_format": f"{SECRET}\n\x1b"}).encode(),
    b'{"input": ["' + SECRET.encode(),
    b'{"' + SECRET.encode() + b'": 1}',
    b"\xff\x00\x1b[2J" + SECRET.encode(),
]

MALFORMED = [
    b"\x1b[2J" + SECRET.encode(),
    b"GET\x1b[2J / HTTP/1.1",
    b"\x1b" * 5000 + b" / HTTP/1.1",
    b"GET / \x1b[2J" + SECRET.encode(),
    b"POST /embed HTTP/1.1\r\nContent-Length: " + b"9" * 5000,
    b"POST /embed HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + SECRET.encode(),
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: %b\r\n" % (i, SECRET.encode()) for i in range(1000)),
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%03d: %b\x1b%b\r\n" % (i, SECRET.encode(), b"x" * 63) for i in range(400)),
]


def ask_everything(service):
    for path in PATHS:
        assert exchange(service, b"GET " + path + b" HTTP/1.1\r\n" + HEADERS)
    for route in ("/v1/embeddings", "/embed", "/v1/models"):
        for body in BODIES:
            head = b"POST %b HTTP/1.1\r\n%b\r\nContent-Length: %d" % (route.encode(), HEADERS, len(body))
            assert exchange(service, head, body)
    for head in MALFORMED:
        exchange(service, head)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_whatever_clients_send_the_log_is_whole_and_holds_no_secret(start, log_format):
    service = start(log_format=log_format, log_requests="all").wait_until_ready()
    ask_everything(service)
    requests.get(service.url + "/livez", headers={"X-Request-ID": "the-last"}, timeout=60)
    service.wait_for(lambda: "the-last" in service.log)

    log = service.log_file.read_bytes().decode()
    assert SECRET not in log
    assert [line for line in log.split("\n") if not line.replace("\t", " ").isprintable() or len(line) > 1500] == []
    ours = [line for line in log.split("\n") if re.match({"json": r"\{", "text": r"\d{4}-"}[log_format], line)]
    assert len(ours) > len(PATHS) + 3 * len(BODIES)
    assert all(json.loads(line)["pid"] if log_format == "json" else LINE.fullmatch(line) for line in ours)
    assert not any(line.startswith(FORGED) for line in ours)
    assert log.count("the-last") == 1


def test_the_log_tells_the_life_of_a_worker(start):
    service = start().wait_until_ready()
    service.command("c")
    service.wait_for(lambda: service.log.count("worker 1 answers requests") == 2)
    os.kill(service.popen.pid, signal.SIGTERM)

    assert service.exit_code() == 0
    assert service.log.count("worker 1 starts") == 2
    assert service.log.count("Gracefully killing worker 1") == 2
