"""Clients that send requests and compare every vector with the expected one."""

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

#: As in service.models.openvino: vectors in bfloat16 stay above 0.9999.
LEAST_COSINE = 0.9998

#: Twice proxy_read_timeout of deploy/nginx: a request may be tried on two machines.
TIMEOUT_SECONDS = 140

TEXTS = [f"{word} " * length for length in (1, 3, 7, 20, 60) for word in ("alpha", "beta", "gamma", "delta")]


class Load:
    """A context manager: clients run inside it, with a connection for each request.

    Args:
        expected: the vectors of ``TEXTS``.
        clients: the number of threads.
        pause: the seconds that each waits before a request; without, they take all that the CPU can do.
        namespace: the path of a network namespace that the clients enter.
    """

    def __init__(  # noqa: PLR0913  # each is what some test is about
        self,
        port: int,
        expected: Vectors,
        *,
        clients: int = 6,
        pause: float = 0,
        host: str = "127.0.0.1",
        namespace: str | None = None,
    ) -> None:
        self.address = (host, port)
        self.expected = expected
        self.pause = pause
        self.namespace = namespace
        self.right = 0
        self.wrong: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send_requests, args=(seed,)) for seed in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int, seconds: float = 300) -> None:
        """Wait for this many more right answers."""
        target, deadline = self.right + answers, time.monotonic() + seconds
        while self.right < target:
            assert time.monotonic() < deadline, f"{self.right} right answers, wrong: {self.wrong}"
            time.sleep(0.02)

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    def slow(self, seconds: float) -> int:
        """Count the answers that took at least ``seconds``."""
        return sum(each >= seconds for each in self.seconds)

    def _send_requests(self, seed: int) -> None:
        if self.namespace:
            enter(self.namespace)
        choose = random.Random(seed)
        while not self._stop.wait(self.pause):
            chosen = choose.sample(range(len(TEXTS)), choose.randint(1, 4))
            started = time.monotonic()
            failure = self._send(chosen)
            with self._lock:
                self.seconds.append(time.monotonic() - started)
                if failure:
                    self.wrong[failure] += 1
                else:
                    self.right += 1

    def _send(self, chosen: list[int]) -> str | None:
        """Send a request; return None if its vectors are right, else the reason."""
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/v1/embeddings", json.dumps({"input": [TEXTS[index] for index in chosen]}))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        if answer.status != 200:
            return f"{answer.status}: {body[:200]!r}"
        vectors = np.array([item["embedding"] for item in json.loads(body)["data"]])
        cosines = (vectors * self.expected[chosen]).sum(axis=1)
        return None if cosines.min() >= LEAST_COSINE else f"a vector with cosine {cosines.min():.3f}"
