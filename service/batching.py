"""One thread, one backlog, a token budget: texts of many requests share the forwards of one model."""

import itertools
import logging
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.errors import ModelFailed, RequestError

log = logging.getLogger(__name__)

Tokens = tuple[int, ...]
Vectors = npt.NDArray[np.float32]

#: Texts share a batch if the longest has at most this many times the tokens of the shortest ...
#: (128 mixed texts of MiniLM under torch, budget 1024: 1.1 and 1.25 gave 88 texts/s, 1.5 and 2.0 gave 82.)
PADDING_RATIO = 1.25
#: ... or at most this many tokens more: among short texts a few wasted columns cost less than a forward.
PADDING_SLACK = 8


class Job:
    """The texts of one request on their way through the model.

    Owned by the request's thread until it is submitted, by the batcher until ``done`` is set, then by the request.

    Args:
        texts: the token ids of each text.
        dimension: the width of a vector.
        deadline: the ``time.monotonic()`` after which nobody wants the answer.
    """

    def __init__(self, texts: Sequence[Tokens], dimension: int, deadline: float = float("inf")) -> None:
        self.texts = texts
        self.vectors: Vectors = np.empty((len(texts), dimension), np.float32)
        self.deadline = deadline
        self.error: RequestError | None = None
        self.done = threading.Event()
        self.waiting: dict[int, Text] = {}
        self._missing = len(texts)

    def put(self, position: int, vector: Vectors) -> None:
        """Store the vector of one text, of shape (dimension,)."""
        self.vectors[position] = vector
        self._missing -= 1
        if not self._missing:
            self.done.set()

    def fail(self, error: RequestError) -> None:
        """End the job with an error; what of it still waits will not be computed."""
        self.error = error
        self.done.set()

    def is_unwanted(self) -> bool:
        """Tell whether the job failed, was given up by its request, or is past its deadline."""
        return self.error is not None or time.monotonic() > self.deadline


class Text(NamedTuple):
    """One text in the backlog, which sorts by length; ``serial`` keeps equal lengths in order of arrival."""

    length: int
    serial: int
    job: Job
    position: int

    @property
    def tokens(self) -> Tokens:
        """The token ids."""
        return self.job.texts[self.position]


class Backlog:
    """The texts that wait, sorted by length, and the jobs they belong to, in the order of their turns.

    A batch is a slice of neighbours in length, so padding stays small, around a text of the job whose turn it is, so
    nobody starves: with n jobs waiting, each of them leads one batch in n, however large or long the others are.
    """

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._turns: deque[Job] = deque()
        self._serials = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: Job) -> None:
        """Queue every text of ``job``; its longest text leads first."""
        longest_first = sorted(range(len(job.texts)), key=lambda position: -len(job.texts[position]))
        for position in longest_first:
            text = Text(len(job.texts[position]), next(self._serials), job, position)
            job.waiting[text.serial] = text
            insort(self._texts, text)
        self._turns.append(job)

    def draw(self, budget: int) -> list[Text]:
        """Remove and return the next batch: at most ``budget`` tokens, padding counted, or a single longer text.

        Texts of unwanted jobs are dropped. An empty batch means that nothing waits.
        """
        self._drop_unwanted()
        if not self._turns:
            return []
        leader = next(iter(self._turns[0].waiting.values()))
        self._turns.rotate(-1)
        start, stop = self._neighbours(bisect_left(self._texts, leader), budget)
        batch = self._texts[start:stop]
        del self._texts[start:stop]
        for text in batch:
            del text.job.waiting[text.serial]
        if not all(job.waiting for job in {text.job for text in batch}):
            self._turns = deque(job for job in self._turns if job.waiting)
        return batch

    def _neighbours(self, leader: int, budget: int) -> tuple[int, int]:
        """Return the slice around position ``leader`` that fits the budget, grown towards shorter texts first."""
        start, stop = leader, leader + 1
        longest = self._texts[leader].length
        while start and _fit(self._texts[start - 1].length, longest, stop - start + 1, budget):
            start -= 1
        shortest = self._texts[start].length
        while stop < len(self._texts) and _fit(shortest, self._texts[stop].length, stop - start + 1, budget):
            stop += 1
        return start, stop

    def _drop_unwanted(self) -> None:
        unwanted = {job for job in self._turns if job.is_unwanted()}
        if unwanted:
            self._turns = deque(job for job in self._turns if job not in unwanted)
            self._texts = [text for text in self._texts if text.job not in unwanted]


def _fit(shortest: int, longest: int, rows: int, budget: int) -> bool:
    return rows * longest <= budget and longest <= max(shortest * PADDING_RATIO, shortest + PADDING_SLACK)


class Batcher:
    """The thread that owns the model: it draws batches from the backlog and runs them, one after the other.

    There is no timer: an idle batcher runs a text at once, a busy one finds its next batch filled.

    Args:
        embed: computes a batch: n token sequences to float32 of shape (n, dimension). Called by this thread alone.
        budget: the tokens of one batch, padding counted.
    """

    def __init__(self, embed: Callable[[Sequence[Tokens]], Vectors], budget: int) -> None:
        self._embed = embed
        self._budget = budget
        self._backlog = Backlog()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job and return; ``job.done`` is set when its vectors or its error are there."""
        with self._changed:
            self._backlog.add(job)
            self._changed.notify()

    def is_alive(self) -> bool:
        """Tell whether batches are being computed."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what is queued and join the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[Text]:
        """Wait for work; an empty batch means that the batcher was closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._backlog or self._closed)
                batch = self._backlog.draw(self._budget)
                if batch or self._closed:
                    return batch

    def _answer(self, batch: list[Text]) -> None:
        """Compute a batch, a text that occurs twice only once, and hand the vectors to their jobs."""
        rows: dict[Tokens, int] = {}
        row_of = [rows.setdefault(text.tokens, len(rows)) for text in batch]
        try:
            vectors = self._embed(list(rows))
        except Exception:
            log.exception("the model failed on a batch of %d texts", len(rows))
            for text in batch:
                text.job.fail(ModelFailed("the model failed on this input; the server's log has the reason"))
            return
        for text, row in zip(batch, row_of, strict=True):
            text.job.put(text.position, vectors[row])
