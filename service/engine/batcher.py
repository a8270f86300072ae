"""The one thread that owns the model: it runs batch after batch of what waits."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.meter import Meter
from service.engine.model import PaddingLimits, TokenIds, Vectors
from service.engine.request import Entries, Entry, Request
from service.engine.scheduler import Scheduler
from service.errors import ModelFailed

log = logging.getLogger(__name__)


class Batcher:
    """Owns the model's thread, which takes batches from the scheduler and computes them one after the other.

    There is no timer: an idle batcher runs a text at once, a busy one finds its next batch filled.

    Args:
        embed: computes a batch: n arrays of token ids to float32 of shape (n, dimension). Only this thread calls it.
        meter: told of every batch.
    """

    def __init__(
        self,
        embed: Callable[[Sequence[TokenIds]], Vectors],
        max_batch_tokens: int,
        limits: PaddingLimits,
        meter: Meter,
    ) -> None:
        self._embed = embed
        self._meter = meter
        self._scheduler = Scheduler(max_batch_tokens, limits)
        self._changed = threading.Condition()
        self._closed = False
        #: The tokens of the batch that runs now, padding included; 0 between batches.
        self.running_tokens = 0
        #: How many batches have started.
        self.batches = 0
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request and return; ``request.wait`` tells when its vectors or its error are there."""
        entries = Entries.of(request)
        if entries.leaders:
            with self._changed:
                self._scheduler.add(entries)
                self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Remove what still waits of a request; a batch that runs already is computed to its end."""
        with self._changed:
            self._scheduler.cancel(request)

    def show_queue(self, *, is_late: bool) -> None:
        """Tell the meter what waits."""
        with self._changed:
            tokens, oldest = self._scheduler.tokens, self._scheduler.oldest()
        self._meter.show_queue(tokens, max(0.0, time.monotonic() - oldest), is_late=is_late)

    def is_alive(self) -> bool:
        """Tell whether batches are being computed."""
        return self._thread.is_alive()

    def close(self, seconds: float | None = None) -> None:
        """Finish what is queued and join the thread, waiting at most ``seconds``."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            for entry in batch:
                entry.request.started = min(entry.request.started, started)
            self.batches += 1
            self.running_tokens = len(batch) * batch[-1].length
            self._compute(batch)
            tokens = sum(entry.length for entry in batch)
            self._meter.count_batch(len(batch), tokens, self.running_tokens, time.monotonic() - started)
            self.running_tokens = 0
            del batch  # or the last request would stay in memory until the next one

    def _next_batch(self) -> list[Entry]:
        """Wait for work; an empty batch means that the batcher was closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._scheduler or self._closed)
                batch = self._scheduler.next_batch()
                if batch or self._closed:
                    return batch

    def _compute(self, batch: list[Entry]) -> None:
        """Compute a batch, equal texts once, and hand the vectors to their requests."""
        rows: dict[bytes, int] = {}
        row_of = [rows.setdefault(entry.token_ids.tobytes(), len(rows)) for entry in batch]
        unique = dict(zip(row_of, (entry.token_ids for entry in batch), strict=True))
        try:
            vectors = self._embed(list(unique.values()))
        except Exception:
            log.exception("the model failed on a batch of %d texts", len(rows))
            for request in {entry.request for entry in batch}:
                self.cancel(request)
                request.fail(ModelFailed("the model failed on this input; the server's log has the reason"))
            return
        for entry, row in zip(batch, row_of, strict=True):
            entry.request.put(entry.position, vectors[row])
