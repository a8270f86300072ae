"""Scenes of ``make torture`` for a few seconds: every answer is right or says what to do, whatever others send."""

import time
from functools import partial

import pytest

from bench.torture import jobs
from bench.torture.clients import Ask, Dripper, HalfClosed, Quitter, SlowReader
from bench.torture.loop import Loop
from bench.torture.stream import Crowd
from tests.load import TEXTS

pytestmark = [pytest.mark.server, pytest.mark.model]

HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\n"

#: Long enough for any machine; the loop ends when all are answered.
LIMIT_SECONDS = 200


class Unhurried(SlowReader):
    __slots__ = ()

    PAUSE_SECONDS = 1.0


@pytest.fixture
def target(start):
    """A service of its own: the worker that begins must be there at the end, and still answer."""
    service = start().wait_until_ready()
    workers = service.workers()
    yield "127.0.0.1", service.port
    assert service.workers() == workers
    assert service.post("a text").status_code == 200


@pytest.fixture
def loop():
    return Loop()


def statuses(answers, job):
    return {jobs.check(answer, job.expected).status for answer in answers}


def test_a_burst_is_answered_or_told_when_to_come_back(target, loop):
    job = jobs.ask_alone(target, TEXTS)
    hurried, answers = jobs.request(TEXTS, 1), []
    for _ in range(300):
        Ask(loop, target, hurried, answers.append)
    loop.run(LIMIT_SECONDS)

    assert len(answers) == 300
    assert statuses(answers, job) <= {200, 429, 504}
    assert all(answer.retry_after >= 1 for answer in answers if answer.status == 429)


def test_others_are_answered_beside_clients_of_bad_manners(target, loop):
    job = jobs.ask_alone(target, TEXTS)
    crowd, bad = Crowd(loop, target, [job], 8, 4), []
    clients = [Dripper(loop, target, HEAD + b"Content-Length: 1000\r\n\r\n", bad.append) for _ in range(10)]
    clients += [Ask(loop, target, sent, bad.append) for sent in (HEAD, b"") for _ in range(10)]
    for client in clients:
        loop.call_at(time.monotonic() + 4, client.give_up)
    for _ in range(10):
        Quitter(loop, target, jobs.request(TEXTS * 100, 60), bad.append)
    loop.run(LIMIT_SECONDS)

    assert {answer.status for answer in crowd.answers()} <= {200, 429}
    assert 200 in {answer.status for answer in crowd.answers()}


def test_a_slow_reader_gets_its_whole_answer(target, loop):
    job = jobs.ask_alone(target, TEXTS * 30)
    answers = []
    for _ in range(4):
        Unhurried(loop, target, job.sent, answers.append)
    loop.run(LIMIT_SECONDS)

    assert statuses(answers, job) == {200}


def test_a_half_closed_connection_gets_a_right_answer_or_none(target, loop):
    job = jobs.ask_alone(target, TEXTS)
    answers = []
    for _ in range(20):
        HalfClosed(loop, target, job.sent, answers.append)
    loop.run(LIMIT_SECONDS)

    assert statuses(answers, job) <= {0, 200, 499}


def test_tiny_requests_are_answered_beside_giants(target, loop):
    tiny, giant = jobs.ask_alone(target, TEXTS[:1]), jobs.ask_alone(target, TEXTS * 30)
    seen = {"tiny": [], "giant": []}
    for i in range(40):
        loop.call_at(time.monotonic() + i / 20, partial(Ask, loop, target, tiny.sent, seen["tiny"].append))
    for _ in range(4):
        Ask(loop, target, giant.sent, seen["giant"].append)
    loop.run(LIMIT_SECONDS)

    assert statuses(seen["tiny"], tiny) == {200}
    assert statuses(seen["giant"], giant) <= {200, 429}
