"""A request body is read to its end, never past it, whatever the app does with it."""

import io

import pytest

from service.hosting import client
from service.hosting.client import Body, Connection
from service.hosting.deadlines import Deadlines


class Input(io.BytesIO):
    """What a client sends; a read past the length, which would block on a socket, fails."""

    def read(self, size=-1):
        assert 0 <= size <= len(self.getbuffer()) - self.tell()
        return super().read(size)


class Endless:
    """A client that never stops to send."""

    total = 0

    def read(self, size):
        self.total += size
        return bytes(size)


class Stalled:
    calls = 0

    def read(self, _size):
        self.calls += 1
        raise OSError("timeout")


class Answer(list):
    is_closed = False

    def close(self):
        self.is_closed = True


def environ(stream, length):
    return {"wsgi.input": stream, "CONTENT_LENGTH": str(length)}


def unread(_environ, _start_response):
    return [b"the answer"]


def test_an_environ_always_has_a_method():
    environ_without = environ(Input(b""), 0)
    list(Connection(unread)(environ_without, None))

    assert environ_without["REQUEST_METHOD"] == ""


def test_a_body_that_the_app_leaves_is_read_after_the_answer():
    stream = Input(b"x" * 200_000)
    answer = iter(Connection(unread)(environ(stream, 200_000), None))

    assert next(answer) == b"the answer"
    assert stream.tell() == 0
    assert list(answer) == []
    assert stream.tell() == 200_000


def test_the_rest_of_a_body_that_the_app_began_is_read():
    stream = Input(b"x" * 200_000)
    list(Connection(lambda environ, _: [environ["wsgi.input"].read(7)])(environ(stream, 200_000), None))

    assert stream.tell() == 200_000


def test_an_answer_to_a_body_that_was_read_is_passed_on_as_it_is():
    answer = []
    connection = Connection(lambda environ, _: environ["wsgi.input"].read(5) and answer)

    assert connection(environ(Input(b"abcde"), 5), None) is answer


@pytest.mark.parametrize("length", ["", "abc", "-1", "0", "9" * 5000])
def test_without_a_length_nothing_is_read(length):
    stream = Input(b"")

    assert Connection(unread)(environ(stream, length), None) == [b"the answer"]
    assert Body(environ(stream, length), Deadlines()).read() == b""


def test_a_body_that_its_server_ends_is_read_without_a_length():
    stream = io.BytesIO(b"x" * 200_000)
    list(Connection(unread)({"wsgi.input": stream, "wsgi.input_terminated": True}, None))

    assert stream.tell() == 200_000


def test_a_body_of_any_length_is_read_up_to_a_limit():
    stream = Endless()
    list(Connection(unread)(environ(stream, 2**50), None))

    assert stream.total == client.MAX_DRAIN_BYTES


def test_a_client_that_stalls_is_waited_for_once():
    stream = Stalled()

    def app(environ, _start_response):
        with pytest.raises(OSError, match="timeout"):
            environ["wsgi.input"].read(10)
        return [b"the answer"]

    assert list(Connection(app)(environ(stream, 10), None)) == [b"the answer"]
    assert list(Connection(unread)(environ(stream, 10), None)) == [b"the answer"]
    assert stream.calls == 2


def test_the_answer_is_closed_after_the_body_was_read():
    answer = Answer([b"the answer"])
    list(Connection(lambda *_: answer)(environ(Input(b"abc"), 3), None))

    assert answer.is_closed
