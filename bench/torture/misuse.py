"""Scenes with clients that hang up, drip, dawdle, say nothing or send too much at once."""

import time
from typing import Any

from bench.torture.clients import Address, Answer, Ask, Dripper, HalfClosed, Quitter, SlowReader
from bench.torture.jobs import Jobs, check, check_giant, count, giants, percentile
from bench.torture.loop import Loop
from bench.torture.stand import Stand
from bench.torture.stream import Stream

QUITTERS = 200
DRIPPERS = 100
HALF_HEADERS = 200
GIANTS = 64
WAITING = 1000
IDLE_CONNECTIONS = 1000
SLOW_READERS = 8
HALF_CLOSED = 20

#: Requests a second of well-behaved clients, beside those of a scene.
OTHERS_PER_SECOND = 20

HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\n"


def abandon(stand: Stand, _: Jobs) -> dict[str, Any]:
    """Let 200 clients send 2048 documents each and hang up 0.2 seconds later; return how long the work goes on."""
    loop, answers = Loop(), list[Answer]()
    for sent in giants(QUITTERS):
        Quitter(loop, stand.http, sent, answers.append)
    loop.run(30)
    began, quiet = time.monotonic(), 0.3
    stand.service.settle(120, quiet)
    return {"work_left_s": round(max(0.0, time.monotonic() - began - quiet), 1)}


def fill(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Send 64 requests of 2048 documents, which may wait, and 1,000 of a short text; return the worker's memory."""
    loop, large, short = Loop(), list[Answer](), list[Answer]()
    job = jobs.short[0]
    with stand.watched() as memory:
        for sent in giants(GIANTS):
            Ask(loop, stand.http, sent, large.append)
        loop.call_at(time.monotonic() + 1, lambda: _send_many(loop, stand.http, job.sent, WAITING, short))
        loop.run(90)
    answers = [check_giant(answer) for answer in large]
    answers += [check(answer, job.expected) for answer in short]
    stand.service.settle(60)
    time.sleep(60)
    idle = stand.memory()
    return {"before_mb": memory[0], "most_mb": max(memory), "idle_mb": idle, "answers": count(answers)}


def drip(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Send 100 bodies byte by byte and 200 half headers; return the latency of others, by nginx and by HTTP port."""
    return {"nginx": _drip(stand.nginx, jobs), "http": _drip(stand.http, jobs)}


def idle(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Open 1,000 connections that send nothing; return the latency of others."""
    return {"nginx": _stand_idle(stand.nginx, jobs), "http": _stand_idle(stand.http, jobs)}


def slow_readers(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Read vectors after a pause and a little at a time; all must be there."""
    rows = {}
    for name, address in (("nginx", stand.nginx), ("http", stand.http)):
        loop, documents, wide = Loop(), list[Answer](), list[Answer]()
        SlowReader(loop, address, jobs.wide.sent, wide.append)
        for _ in range(SLOW_READERS):
            SlowReader(loop, address, jobs.patient.sent, documents.append)
        loop.run(70)
        answers = [check(answer, jobs.patient.expected) for answer in documents]
        rows[name] = {"answers": count([*answers, *(check(answer, jobs.wide.expected) for answer in wide)])}
    return rows


def half_closed(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Close the sending half after the request, which counts as hanging up: which 499 says, if anything."""
    loop, answers = Loop(), list[Answer]()
    job = jobs.documents[0]
    for _ in range(HALF_CLOSED):
        HalfClosed(loop, stand.http, job.sent, answers.append)
    loop.run(30)
    return {"gone": count(check(answer, job.expected) for answer in answers)}


def mixed(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Send short texts beside four clients with 2048 documents each."""
    loop = Loop()
    large: list[Answer] = []
    for sent in giants(4):
        Ask(loop, stand.http, sent, large.append)
    short = Stream(loop, stand.http, jobs.short, OTHERS_PER_SECOND, 20)
    loop.run(90)
    answers = short.answers()
    return {
        "short_p50_s": percentile((answer.seconds for answer in answers), 50),
        "short_p99_s": percentile((answer.seconds for answer in answers), 99),
        "answers": count([*answers, *map(check_giant, large)]),
    }


def _drip(address: Address, jobs: Jobs) -> dict[str, Any]:
    loop = Loop()
    bad: list[Answer] = []
    for _ in range(DRIPPERS):
        Dripper(loop, address, HEAD + b"Content-Length: 1000\r\n\r\n", bad.append)
    _send_many(loop, address, HEAD, HALF_HEADERS, bad)
    return _others(loop, address, jobs, bad)


def _stand_idle(address: Address, jobs: Jobs) -> dict[str, Any]:
    loop = Loop()
    bad: list[Answer] = []
    _send_many(loop, address, b"", IDLE_CONNECTIONS, bad)
    return _others(loop, address, jobs, bad)


def _others(loop: Loop, address: Address, jobs: Jobs, bad: list[Answer], seconds: int = 12) -> dict[str, Any]:
    """Send short texts beside bad clients; answers that did not come while those were there count as lost."""
    stream = Stream(loop, address, jobs.short, OTHERS_PER_SECOND, seconds)
    loop.run(seconds + 3)
    answers = stream.answers()
    return {
        "p50_s": percentile((answer.seconds for answer in answers), 50),
        "p99_s": percentile((answer.seconds for answer in answers), 99),
        "answers": count(answers),
        "bad": count(bad),
    }


def _send_many(loop: Loop, address: Address, sent: bytes, number: int, answers: list[Answer]) -> None:
    for _ in range(number):
        Ask(loop, address, sent, answers.append)
