"""The one thread that owns the model: it runs batch after batch of what waits."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from service.engine.host import Host
from service.engine.meter import Meter
from service.engine.model import Model, TokenIds, Vectors
from service.engine.rate import Rate
from service.engine.request import Entries, Entry, Request
from service.engine.scheduler import Scheduler
from service.engine.suspects import Suspects
from service.errors import ModelFailed, first_line, has_run_out

log = logging.getLogger(__name__)

#: After so long without work, memory goes back to the machine.
REST_SECONDS = 5.0


class Batcher:
    """Owns the model's thread, which takes batches from the scheduler and computes them one after the other.

    There is no timer: an idle batcher runs a text at once, a busy one finds its next batch filled.

    Args:
        model: computes the batches; only this thread calls its ``embed`` and ``free``.
        max_batch_tokens: tokens of a batch, padding included.
        meter: told of every batch.
        host: the process that it runs in.
    """

    def __init__(self, model: Model, max_batch_tokens: int, meter: Meter, host: Host) -> None:
        self._model = model
        self._meter = meter
        self._host = host
        self._suspects = _open_record(host.record) if host.record else None
        self._scheduler = Scheduler(max_batch_tokens, model.padding_limits)
        self._rate = Rate()
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

    def waiting_tokens(self) -> tuple[int, int]:
        """Return the tokens of small requests that wait, and of all others."""
        return self._scheduler.tokens()

    def tokens_per_second(self) -> float:
        """Return the rate of the model; infinite if it is not known yet."""
        return self._rate.per_second

    def show_queue(self, *, is_late: bool) -> None:
        """Tell the meter what waits."""
        with self._changed:
            tokens, oldest = sum(self._scheduler.tokens()), self._scheduler.oldest()
        self._meter.show_queue(tokens, max(0.0, time.monotonic() - oldest), is_late=is_late)

    def is_alive(self) -> bool:
        """Tell whether batches are being computed."""
        return self._thread.is_alive()

    def give_up(self, reason: str) -> None:
        """End the process, since the model hangs; remember on what."""
        if self._suspects is not None:
            self._suspects.accuse()
        self._host.replace(reason)

    def close(self, seconds: float | None = None) -> None:
        """Finish what is queued and join the thread, waiting at most ``seconds``."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while batch := self._next_batch():
            self._compute(batch)
            del batch  # or the last request would stay in memory until the next one

    def _next_batch(self) -> list[Entry]:
        """Wait for work; an empty batch means that the batcher was closed."""
        with self._changed:
            is_idle = not self._changed.wait_for(self._has_work, REST_SECONDS)
        if is_idle:
            self._host.trim()  # not under the lock, for which requests would wait
        with self._changed:
            while True:
                self._changed.wait_for(self._has_work)
                batch = self._scheduler.next_batch()
                if batch or self._closed:
                    return batch

    def _has_work(self) -> bool:
        return bool(self._scheduler) or self._closed

    def _compute(self, batch: list[Entry]) -> None:
        """Compute a batch, equal texts once, and hand the vectors to their requests."""
        started = time.monotonic()
        rows: dict[bytes, int] = {}
        row_of = [rows.setdefault(entry.token_ids.tobytes(), len(rows)) for entry in batch]
        unique = dict(zip(row_of, (entry.token_ids for entry in batch), strict=True))
        for entry in batch:
            entry.request.started = min(entry.request.started, started)
        vectors = self._embed_apart(list(unique.values()))
        self._count(batch, time.monotonic() - started)
        for entry, row in zip(batch, row_of, strict=True):
            vector = vectors[row]
            if vector is not None:
                entry.request.put(entry.position, vector)
            else:
                self.cancel(entry.request)
                entry.request.fail(
                    ModelFailed("the model failed on a text of this request; the server's log has the reason")
                )

    def _count(self, batch: list[Entry], seconds: float) -> None:
        tokens = sum(entry.length for entry in batch)
        self._rate.add(tokens, seconds)
        self._meter.count_batch(len(batch), tokens, len(batch) * batch[-1].length, seconds)

    def _embed_apart(self, texts: Sequence[TokenIds]) -> list[Vectors | None]:
        """Compute suspects alone, and not at all what ended a process."""
        if not self._suspects:
            return self._embed(texts)
        vectors: dict[int, Vectors | None] = {}
        rest = []
        for index, text in enumerate(texts):
            if self._suspects.is_guilty(text):
                vectors[index] = None
            elif self._suspects.is_suspect(text):
                [vectors[index]] = self._embed([text])
            else:
                rest.append(index)
        if rest:
            vectors |= dict(zip(rest, self._embed([texts[index] for index in rest]), strict=True))
        return [vectors[index] for index in range(len(texts))]

    def _embed(self, texts: Sequence[TokenIds]) -> list[Vectors | None]:
        """Return a vector for each text, None where the model failed on it alone."""
        vectors = self._try(texts)
        if vectors is not None:
            return list(vectors)
        if len(texts) == 1:
            return [None]
        middle = len(texts) // 2
        return self._embed(texts[:middle]) + self._embed(texts[middle:])

    def _try(self, texts: Sequence[TokenIds]) -> Vectors | None:
        """Run the model once; log an error and return None."""
        self.batches += 1
        self.running_tokens = len(texts) * max(map(len, texts))
        if self._suspects is not None:
            self._suspects.begin(texts)
        try:
            return self._model.embed(texts)
        except Exception as error:
            ran_out = has_run_out(error)
            if len(texts) == 1:
                log.exception("the model failed on a text of %d tokens", len(texts[0]))
            else:
                log.warning("the model failed on %d texts, each half is tried: %s", len(texts), first_line(error))
        finally:
            self.running_tokens = 0
            if self._suspects is not None:
                self._suspects.end(texts)
        if ran_out:  # outside of the handler, whose traceback holds the batch's tensors
            self._model.free()
            self._host.trim()
        return None


def _open_record(path: Path) -> Suspects | None:
    try:
        return Suspects(path)
    except OSError as error:
        log.warning("%s: %s; a text that ends this process may end the next one too", path, error.strerror)
        return None
