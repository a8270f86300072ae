"""The one thread that owns the model: it runs batch after batch of what waits in the backlog."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.scheduler import Backlog, Job, Text, Tokens, Vectors
from service.errors import ModelFailed

log = logging.getLogger(__name__)


class Batcher:
    """The thread that owns the model: it draws batches from the backlog and runs them, one after the other.

    There is no timer: an idle batcher runs a text at once, a busy one finds its next batch filled.

    Args:
        embed: computes a batch: n token sequences to float32 of shape (n, dimension). Called by this thread alone.
        budget: the tokens of one batch, padding counted.
    """

    def __init__(self, embed: Callable[[Sequence[Tokens]], Vectors], budget: int) -> None:
        self._embed = embed
        self._backlog = Backlog(budget)
        self._changed = threading.Condition()
        self._closed = False
        self._batch_started: float | None = None
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job and return; ``job.wait`` tells when its vectors or its error are there."""
        with self._changed:
            self._backlog.add(job)
            self._changed.notify()

    def busy_for(self) -> float:
        """Return the seconds that the present batch has been running; 0 between batches."""
        started = self._batch_started
        return 0.0 if started is None else time.monotonic() - started

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
            self._batch_started = time.monotonic()
            self._answer(batch)
            self._batch_started = None

    def _next(self) -> list[Text]:
        """Wait for work; an empty batch means that the batcher was closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._backlog or self._closed)
                batch = self._backlog.draw()
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
