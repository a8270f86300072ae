"""Clients that ask without pause and compare every vector with the right one."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from typing import Self

import numpy as np

from service.engine.model import Vectors
from tests.deploy.network import enter

#: As everywhere: bfloat16 stays above 0.9999 of the reference.
LEAST_COSINE = 0.9998

#: Seconds that a client waits for an answer: twice nginx's uwsgi_read_timeout, as its comment asks for.
TIMEOUT = 130

TEXTS = [f"{word} " * length for length in (1, 3, 7, 20, 60) for word in ("alpha", "beta", "gamma", "delta")]


class Load:
    """Use it as a context: clients start with it and have all ended after it.

    Args:
        port: where they connect, each request on a connection of its own.
        expected: the right vectors of ``TEXTS``.
        clients: how many ask at a time.
        host: the address.
        namespace: a network namespace's path that the clients enter first.
    """

    def __init__(
        self, port: int, expected: Vectors, *, clients: int = 6, host: str = "127.0.0.1", namespace: str | None = None
    ) -> None:
        self.address = (host, port)
        self.expected = expected
        self.namespace = namespace
        self.right = 0
        self.wrong: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(seed,)) for seed in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int, seconds: float = 60) -> None:
        """Wait until that many more right answers have come."""
        target, deadline = self.right + answers, time.monotonic() + seconds
        while self.right < target:
            assert time.monotonic() < deadline, f"{self.right} right answers, wrong: {self.wrong}"
            time.sleep(0.02)

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    def slow(self, seconds: float) -> int:
        """How many answers took at least that long."""
        return sum(each >= seconds for each in self.seconds)

    def _ask_on(self, seed: int) -> None:
        if self.namespace:
            enter(self.namespace)
        choose = random.Random(seed)
        while not self._stop.is_set():
            chosen = choose.sample(range(len(TEXTS)), choose.randint(1, 4))
            started = time.monotonic()
            complaint = self._ask(chosen)
            with self._lock:
                self.seconds.append(time.monotonic() - started)
                if complaint:
                    self.wrong[complaint] += 1
                else:
                    self.right += 1

    def _ask(self, chosen: list[int]) -> str | None:
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
        try:
            connection.request("POST", "/v1/embeddings", json.dumps({"input": [TEXTS[each] for each in chosen]}))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        if answer.status != 200:
            return f"{answer.status}: {body[:200]!r}"
        vectors = np.array([each["embedding"] for each in json.loads(body)["data"]])
        cosines = (vectors * self.expected[chosen]).sum(axis=1)
        return None if cosines.min() >= LEAST_COSINE else f"a vector with cosine {cosines.min():.3f}"
