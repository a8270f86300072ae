"""Scenes with more requests than the service can answer."""

import time
from collections import Counter
from functools import partial
from typing import Any

from bench.torture.clients import Address, Answer, Ask
from bench.torture.jobs import Job, Jobs, check, count, get, percentile
from bench.torture.loop import Loop
from bench.torture.stand import Stand
from bench.torture.stream import Crowd, Stream, no_garbage_collection

#: Loads, as multiples of the capacity.
LOADS = (0.5, 1, 3, 10)

#: During this one the probes are asked.
PROBED_LOAD = 3
PROBES = ("/livez", "/readyz", "/metrics")
PROBES_PER_SECOND = 10

#: Seconds in which what was sent must be answered: its deadline, after the last time that the kernel tries to connect.
DRAIN_SECONDS = 30

#: Their work takes less than the two waits.
OBEDIENT_CLIENTS = 100

#: Two waits of a minute, the longest that Retry-After asks for, and the requests.
OBEDIENT_SECONDS = 150


def short_texts(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Send short texts: 32 clients in a closed loop for the capacity, then open loops."""
    return _load(stand, jobs.short, clients=32, seconds=8)


def documents(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Send requests of 32 documents: 8 clients in a closed loop, then open loops."""
    return _load(stand, jobs.documents, clients=8, seconds=20)


def obey(stand: Stand, jobs: Jobs) -> dict[str, Any]:
    """Let 100 clients ask for 32 documents each at once, and come back when they are told to, twice."""
    loop = Loop()
    clients = [_Obedient(loop, stand.http, jobs.documents[i % len(jobs.documents)]) for i in range(OBEDIENT_CLIENTS)]
    loop.run(OBEDIENT_SECONDS)
    answers = [answer for client in clients for answer in client.answers]
    in_time = sum(client.answers[-1].status == 200 for client in clients)
    return {
        "share": round(in_time / OBEDIENT_CLIENTS, 3),
        "tries": dict(sorted(Counter(len(client.answers) for client in clients).items())),
        "slowest_s": round(max(sum(answer.seconds for answer in client.answers) for client in clients), 1),
        "answers": count(answers),
    }


class _Obedient:
    """A client that waits for as long as Retry-After says."""

    def __init__(self, loop: Loop, address: Address, job: Job) -> None:
        self._loop = loop
        self._job = job
        self._address = address
        self.answers: list[Answer] = []
        self._send()

    def _send(self) -> None:
        Ask(self._loop, self._address, self._job.sent, self._note)

    def _note(self, answer: Answer) -> None:
        self.answers.append(check(answer, self._job.expected))
        if answer.status == 429 and len(self.answers) < 3:
            self._loop.call_at(time.monotonic() + answer.retry_after, self._send)


def _load(stand: Stand, jobs: list[Job], *, clients: int, seconds: int) -> dict[str, Any]:
    loop = Loop()
    crowd = Crowd(loop, stand.http, jobs, clients, seconds)
    loop.run(seconds + DRAIN_SECONDS)
    capacity = crowd.rate()
    rows: dict[str, Any] = {"capacity": round(capacity, 1), "answers": count(crowd.answers())}
    for load in LOADS:
        stand.service.settle(30)
        rows[f"x{load:g}"] = _open_loop(stand, jobs, capacity, load, seconds)
    return rows


def _open_loop(stand: Stand, jobs: list[Job], capacity: float, load: float, seconds: int) -> dict[str, Any]:
    loop = Loop()
    with no_garbage_collection():
        cpu = time.process_time()
        stream = Stream(loop, stand.http, jobs, load * capacity, seconds)
        probes = _Probes(loop, stand, seconds) if load == PROBED_LOAD else None
        loop.run(seconds + DRAIN_SECONDS)
        cpu = time.process_time() - cpu
    answers = stream.answers()
    good = [answer for answer in answers if answer.status == 200]
    in_window = sum(answer.came < stream.began + seconds for answer in good)
    return {
        "goodput": round(in_window / seconds / capacity, 3),
        "accepted_p50_s": percentile((answer.seconds for answer in good), 50),
        "accepted_p99_s": percentile((answer.seconds for answer in good), 99),
        "refused_p99_s": percentile((answer.seconds for answer in answers if answer.status == 429), 99),
        "client_cpu_us": round(1e6 * cpu / max(1, len(answers))),
        "client_lag_p99_s": percentile(stream.lags, 99),
        "unsent": stream.unsent,
        **(probes.row() if probes else {}),
        "answers": count(answers),
    }


class _Probes:
    """Asks the monitor and the HTTP port for their health from time to time."""

    def __init__(self, loop: Loop, stand: Stand, seconds: int) -> None:
        self._loop = loop
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        for name, address in (("monitor", stand.monitor), ("http", stand.http)):
            for path in PROBES:
                noted = self._answers[name, path] = []
                for i in range(seconds * PROBES_PER_SECOND):
                    when = time.monotonic() + i / PROBES_PER_SECOND
                    loop.call_at(when, partial(Ask, loop, address, get(path), noted.append))

    def row(self) -> dict[str, Any]:
        """Return the slowest of a hundred for each, and how many were not answered 200."""
        return {
            f"{name} {path}": {
                "p99_s": percentile((answer.seconds for answer in answers), 99),
                "answers": count(answers),
            }
            for (name, path), answers in self._answers.items()
        }
