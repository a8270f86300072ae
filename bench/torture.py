"""What the service does under too much load: open loops, abandoned work, slow clients. Every vector is compared."""

import asyncio
import base64
import json
import logging
import os
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import texts
from launchers.process import BIN, ROOT, Process, free_port

log = logging.getLogger("bench")

#: Loads, as multiples of the capacity.
LOADS = (0.5, 1, 3, 10)

#: What each request allows the service.
DEADLINE_SECONDS = 10

#: Not the openai package's 600: a request without an answer after so long is lost.
LOST_SECONDS = 60.0

LEAST_COSINE = 0.9998


class Answer(NamedTuple):
    """What came back: a status, 0 for none; 200 only if the vectors are right."""

    status: int
    seconds: float
    retry_after: float = 0.0


class Job(NamedTuple):
    """A request and the vectors that it should get."""

    sent: bytes
    expected: np.ndarray[Any, np.dtype[np.float32]]


class Target:
    """The service on its HTTP port."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        env = {"EMBED_HTTP": f"127.0.0.1:{self.port}", "EMBED_RUN_DIR": str(directory / "run")}
        self.process = Process([BIN / "uwsgi", "--ini", ROOT / "uwsgi.ini"], directory / "log", env=os.environ | env)

    async def wait_until_ready(self) -> None:
        """Return once the service answers."""
        for _ in range(600):
            if (await self.ask(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(self.process.log)

    async def ask(self, sent: bytes, expected: np.ndarray[Any, Any] | None = None) -> Answer:
        """Send a request on a connection of its own; status -1 means wrong vectors."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(LOST_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(sent)
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
                writer.close()
        except (OSError, TimeoutError):
            return Answer(0, time.monotonic() - began)
        seconds = time.monotonic() - began
        status = int(head.split(maxsplit=2)[1]) if head else 0
        if status == 200 and expected is not None and not _is_right(body, expected):
            status = -1
        wait = head.lower().partition(b"retry-after: ")[2].partition(b"\r\n")[0]
        return Answer(status, seconds, float(wait or 0))

    async def prepare(self, bodies: list[list[str]]) -> list[Job]:
        """Ask for each body alone; all others are compared with these answers."""
        jobs = []
        for body in bodies:
            sent = _request(body)
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(sent)
            answer = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
            writer.close()
            jobs.append(Job(sent, _vectors(answer)))
        return jobs


async def run() -> dict[str, Any]:
    """Run everything and return the rows of docs/reliability.md."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        target = Target(Path(name))
        try:
            await target.wait_until_ready()
            return await _torture(target)
        finally:
            target.process.kill()


async def _torture(target: Target) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    loads = {load.name: load for load in texts.workloads()}
    for name, count, seconds in (("q32", 200, 10), ("d8", 20, 40)):
        jobs = await target.prepare(loads[name].texts[:count])
        capacity = await _closed_loop(target, jobs, loads[name].clients, seconds)
        rows[f"{name} capacity"] = {"per_second": round(capacity, 2)}
        for load in LOADS:
            rows[f"{name} x{load}"] = await _open_loop(target, jobs, capacity, load, seconds)
            log.info("%s x%g: %s", name, load, rows[f"{name} x{load}"])
    for each in (abandon, fill, drip, obey):
        rows[each.__name__] = await each(target)
        log.info("%s: %s", each.__name__, rows[each.__name__])
    return rows


async def _closed_loop(target: Target, jobs: list[Job], clients: int, seconds: float) -> float:
    """Return the requests that so many clients get answered in a second."""
    until = time.monotonic() + seconds
    done = 0

    async def client(seed: int) -> None:
        nonlocal done
        rng = random.Random(seed)
        while time.monotonic() < until:
            answer = await target.ask(*rng.choice(jobs))
            done += answer.status == 200  # not in one line: += reads before it awaits

    began = time.monotonic()
    await asyncio.gather(*map(client, range(clients)))
    return done / (time.monotonic() - began)


async def _open_loop(target: Target, jobs: list[Job], capacity: float, load: float, seconds: float) -> dict[str, Any]:
    """Send requests at random moments, whatever becomes of the others."""
    rng = random.Random(load)
    waiting, began, at = [], time.monotonic(), 0.0
    while at < seconds:
        at += rng.expovariate(load * capacity)
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        waiting.append(asyncio.create_task(target.ask(*rng.choice(jobs))))
    answers = await asyncio.gather(*waiting)
    took = time.monotonic() - began
    good = [answer.seconds for answer in answers if answer.status == 200]
    refused = [answer.seconds for answer in answers if answer.status == 429]
    return {
        "goodput": round(len(good) / took / capacity, 2),
        "accepted_p50_s": _percentile(good, 50),
        "accepted_p99_s": _percentile(good, 99),
        "refused_p99_ms": round(1000 * _percentile(refused, 99), 1),
        "answers": dict(sorted(Counter(answer.status for answer in answers).items())),
    }


async def abandon(target: Target) -> dict[str, Any]:
    """200 clients send 2048 documents each and hang up after 0.2 seconds."""
    sent = _request(_large())

    async def give_up() -> None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", target.port)
            writer.write(sent)
            await asyncio.sleep(0.2)
            writer.transport.abort()

    await asyncio.gather(*(give_up() for _ in range(200)))
    began = time.monotonic()
    await asyncio.to_thread(target.process.settle)
    return {"work_left_s": round(time.monotonic() - began, 1)}


async def fill(target: Target) -> dict[str, Any]:
    """64 requests of 2048 documents while 1,000 connections wait."""
    before = target.process.memory()["Anonymous"]
    sent = _request(_large())
    short = (await target.prepare([["a short text"]]))[0]
    asking = [asyncio.create_task(target.ask(sent)) for _ in range(64)]
    await asyncio.sleep(1)
    asking += [asyncio.create_task(target.ask(*short)) for _ in range(1000)]
    most = before
    for _ in range(60):
        await asyncio.sleep(0.5)
        most = max(most, target.process.memory()["Anonymous"])
    answers = await asyncio.gather(*asking)
    await asyncio.to_thread(target.process.settle)
    await asyncio.sleep(15)
    return {
        "before_mb": before,
        "most_mb": most,
        "idle_mb": target.process.memory()["Anonymous"],
        "answers": dict(sorted(Counter(answer.status for answer in answers).items())),
    }


async def drip(target: Target) -> dict[str, Any]:
    """100 bodies that come byte by byte and 200 half headers, on the HTTP port; others go on."""
    halves = [b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"] * 100
    halves += [b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\n"] * 200
    writers = []
    for half in halves:
        _, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(half)
        writers.append(writer)
    short = (await target.prepare([["a short text"]]))[0]
    answers = []
    for _ in range(80):
        answers.append(await target.ask(*short))
        for writer in writers[:100]:
            with suppress(OSError):
                writer.write(b" ")
    for writer in writers:
        writer.close()
    return {
        "others_p99_s": _percentile([answer.seconds for answer in answers], 99),
        "answers": dict(Counter(answer.status for answer in answers)),
    }


async def obey(target: Target) -> dict[str, Any]:
    """300 clients at once with a document request each, which come back when they are told to, twice."""
    [load] = [load for load in texts.workloads() if load.name == "d8"]
    jobs = await target.prepare(load.texts)

    async def client(job: Job) -> int:
        for attempt in range(3):
            answer = await target.ask(*job)
            if answer.status != 429:
                return attempt if answer.status == 200 else 9
            await asyncio.sleep(answer.retry_after)
        return 9

    tries = Counter(await asyncio.gather(*(client(jobs[i % len(jobs)]) for i in range(300))))
    return {"answered_by_second_retry": round(1 - tries[9] / 300, 3), "tries": dict(sorted(tries.items()))}


def _large() -> list[str]:
    rng = random.Random(3)
    return [texts.english(rng, 60) for _ in range(2048)]


def _request(body: list[str]) -> bytes:
    encoded = json.dumps({"input": body, "encoding_format": "base64"}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: {len(encoded)}\r\n"
    return f"{head}X-Request-Timeout: {DEADLINE_SECONDS}\r\n\r\n".encode() + encoded


def _vectors(body: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    rows = [base64.b64decode(item["embedding"]) for item in json.loads(body)["data"]]
    return np.frombuffer(b"".join(rows), np.float32).reshape(len(rows), -1)


def _is_right(body: bytes, expected: np.ndarray[Any, Any]) -> bool:
    return bool((np.sum(_vectors(body) * expected, axis=1) >= LEAST_COSINE).all())


def _percentile(seconds: list[float], percent: int) -> float:
    return round(float(np.percentile(seconds, percent)), 3) if seconds else 0.0
