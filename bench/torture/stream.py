"""Many requests: an open loop, whose clients do not wait for each other, and a closed one, whose clients do."""

import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from bench.torture.clients import Address, Answer, Ask
from bench.torture.jobs import Job, check
from bench.torture.loop import Loop

#: Of the 20,000 files that a process often may have. A request beyond that is not sent, and counted.
MAX_OPEN = 15_000


class Stream:
    """Requests that are sent at random moments, whatever becomes of the others, and their answers.

    Args:
        loop: runs it.
        address: where they go.
        jobs: each request is one of these, by chance.
        rate: requests a second, on average.
        seconds: for how long.
    """

    def __init__(self, loop: Loop, address: Address, jobs: Sequence[Job], rate: float, seconds: float) -> None:
        self._loop = loop
        self._address = address
        self._answers: list[tuple[Job, Answer]] = []
        rng = random.Random(rate)
        self._due: list[tuple[float, Job]] = []
        at = rng.expovariate(rate)
        while at < seconds:
            self._due.append((at, rng.choice(jobs)))
            at += rng.expovariate(rate)
        self._due.reverse()
        self.began = time.monotonic()
        self.unsent = 0
        self.lags: list[float] = []
        self._send()

    def answers(self) -> list[Answer]:
        """Return the answers, their vectors compared."""
        return [check(answer, job.expected) for job, answer in self._answers]

    def _send(self) -> None:
        passed = time.monotonic() - self.began
        while self._due and self._due[-1][0] <= passed:
            due, job = self._due.pop()
            self.lags.append(time.monotonic() - self.began - due)
            if len(self._loop) < MAX_OPEN:
                Ask(self._loop, self._address, job.sent, partial(self._note, job))
            else:
                self.unsent += 1
        if self._due:
            self._loop.call_at(self.began + self._due[-1][0], self._send)

    def _note(self, job: Job, answer: Answer) -> None:
        self._answers.append((job, answer))


class Crowd:
    """Clients that send their next request once they have an answer, or when a refusal tells them to."""

    def __init__(self, loop: Loop, address: Address, jobs: Sequence[Job], clients: int, seconds: float) -> None:
        self._loop = loop
        self._address = address
        self._jobs = jobs
        self._random = random.Random(clients)
        self._answers: list[tuple[Job, Answer]] = []
        self.began = time.monotonic()
        self._until = self.began + seconds
        for _ in range(clients):
            self._send()

    def answers(self) -> list[Answer]:
        """Return the answers, their vectors compared."""
        return [check(answer, job.expected) for job, answer in self._answers]

    def rate(self) -> float:
        """Return the right answers a second."""
        right = [answer for answer in self.answers() if answer.status == 200]
        return len(right) / (max(answer.came for answer in right) - self.began) if right else 0.0

    def _send(self) -> None:
        job = self._random.choice(self._jobs)
        Ask(self._loop, self._address, job.sent, partial(self._go_on, job))

    def _go_on(self, job: Job, answer: Answer) -> None:
        self._answers.append((job, answer))
        when = time.monotonic() + answer.retry_after
        if when < self._until:
            self._loop.call_at(when, self._send)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector from pausing what runs inside the context."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
