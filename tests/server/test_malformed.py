"""Bytes that are no HTTP, or HTTP that lies, on the real server's port: `make fuzz` tries thousands."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.malformed import GOOD, HUGE, bodies, chunks, halves, heads, lengths

pytestmark = [pytest.mark.server, pytest.mark.model]

REQUEST = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"

#: As it is without the tests' patience: so long it waits for each byte of a client that sends nothing.
SILENCE_SECONDS = 4

#: More than that for each read.
TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def vector(reference):
    return reference.encode("a text")


@pytest.fixture(scope="module")
def workers(service):
    workers = service.workers()
    yield workers
    assert service.workers() == workers


@pytest.fixture
def check(service, workers, vector):
    """Send bytes: they are answered or the connection closed; then the same workers give the right vector."""

    def check(sent, *, half_close=True):
        logged = len(service.log)
        answer = exchange(service, sent, half_close=half_close)
        assert_answer(answer)
        assert np.abs(embed(service) - vector).max() < 0.01
        assert all(Path(f"/proc/{pid}").exists() for pid in workers)
        assert "Traceback" not in service.log[logged:]
        return answer

    return check


def exchange(service, sent, *, half_close):
    """Return what comes back until the connection is closed; ``half_close``: no more bytes will come."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            pytest.fail("the connection stayed open")
        except OSError:  # it was reset
            pass
    return received


def assert_answer(answer):
    """No answer, or one with a status below 500 whose errors are in JSON."""
    if not answer:
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(re.match(rb"[^\r]* (\d{3}) ", head)[1])  # uWSGI repeats whatever stood for HTTP/1.1
    assert status < 500, answer
    if status >= 400 and body:
        assert set(json.loads(body)) in ({"error", "message", "detail"}, {"error", "message", "error_type"})


def embed(service):
    answer = exchange(service, REQUEST % (len(GOOD), GOOD), half_close=False)
    return np.array(json.loads(answer.partition(b"\r\n\r\n")[2])["data"][0]["embedding"])


@example(b"GET/embedHTTP/1.1\r\n\r\n")
@given(heads())
def test_an_odd_head_is_answered_or_closed(check, sent):
    check(sent)


@given(lengths())
def test_a_length_that_lies_is_answered_or_closed(check, sent):
    check(sent)


@given(chunks())
def test_broken_chunks_are_answered_or_closed(check, sent):
    check(sent)


@given(halves())
def test_half_a_request_is_answered_or_closed(check, sent):
    check(sent)


@given(bodies())
def test_a_mutated_body_is_answered(check, body):
    assert check(REQUEST % (len(body), body), half_close=False)


@given(st.binary(max_size=2000))
def test_any_bytes_are_answered_or_closed(check, sent):
    check(sent)


@pytest.mark.parametrize("name", HUGE)
def test_what_has_no_room_is_answered_or_closed(check, name):
    check(HUGE[name], half_close=False)


def test_clients_that_fall_silent_are_answered_or_closed(start):
    service = start(options=["--socket-timeout", str(SILENCE_SECONDS)]).wait_until_ready()
    chunked = REQUEST.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
    halves = [
        b"POST /em",
        REQUEST[:30],
        REQUEST % (40, GOOD),
        chunked % b"",
        chunked % b"13\r\n{",
        chunked % b"13",
    ]
    with ThreadPoolExecutor(len(halves)) as clients:
        for answer in clients.map(partial(exchange, service, half_close=False), halves):
            assert_answer(answer)
    assert service.post("a text").status_code == 200
    assert "Traceback" not in service.log
