"""The one thread that runs the models: it computes batch after batch of what waits in their lanes."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from service.engine.host import Host
from service.engine.lane import Lane
from service.engine.meter import Meter
from service.engine.model import TokenIds, Vectors
from service.engine.request import Entries, Entry, Request
from service.engine.running import Running
from service.engine.suspects import Suspects
from service.errors import ModelFailed, first_line, has_run_out

log = logging.getLogger(__name__)

#: After so long without work, memory goes back to the machine.
REST_SECONDS = 5.0

#: Why a request with a bad text has no vectors.
FAILED = "the model failed on a text of this request; the server's log has the reason"


class Batcher:
    """Owns the thread of a device, which takes batches from the lanes and computes them one after the other.

    There is no timer: an idle batcher runs a text at once, a busy one finds its next batch filled. Lanes that have work
    share the thread's time equally, whatever a batch of theirs takes: a large model does not slow a small one down by
    more than half.

    Args:
        lanes: one for each model; only this thread calls their models' ``embed`` and ``free``.
        meter: told of every batch.
        host: the process that it runs in.
    """

    def __init__(self, lanes: Sequence[Lane], meter: Meter, host: Host) -> None:
        self._lanes = lanes
        self._meter = meter
        self._host = host
        self._suspects = _open_record(host.record, blames_kills=host.blames_kills) if host.record else None
        self._changed = threading.Condition()
        self._running = Running()
        self._closed = False
        #: What the lane whose turn it was last had spent.
        self._spent = 0.0
        #: How many seconds the batch that runs now may take; 0 between batches.
        self.allowed_seconds = 0.0
        #: How many batches have started.
        self.batches = 0
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, lane: Lane, request: Request) -> None:
        """Queue a request and return; ``request.wait`` tells when its vectors or its error are there."""
        entries = Entries.of(request)
        with self._changed:
            entries = self._running.join(lane, entries)
            if entries.leaders:
                if not lane.scheduler:  # what it did not use while it was idle is lost
                    lane.spent = max(lane.spent, self._spent)
                lane.scheduler.add(entries)
                self._changed.notify()

    def cancel(self, lane: Lane, request: Request) -> None:
        """Remove what still waits of a request; a batch that runs already is computed to its end."""
        with self._changed:
            lane.scheduler.cancel(request)

    def show_queues(self, *, is_late: bool) -> None:
        """Tell the meter what waits, and whether the present batch is late."""
        for lane in self._lanes:
            with self._changed:
                tokens, oldest = sum(lane.waiting_tokens()), lane.scheduler.oldest()
            self._meter.show_queue(lane.model.name, tokens, max(0.0, time.monotonic() - oldest))
        self._meter.beat(is_late=is_late)

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
        while turn := self._next_batch():
            self._compute(*turn)
            del turn  # or the last request would stay in memory until the next one

    def _next_batch(self) -> tuple[Lane, list[Entry]] | None:
        """Wait for work; None means that the batcher was closed."""
        with self._changed:
            is_idle = not self._changed.wait_for(self._has_work, REST_SECONDS)
        if is_idle:
            self._host.trim()  # not under the lock, for which requests would wait
        with self._changed:
            while True:
                self._changed.wait_for(self._has_work)
                waiting = [lane for lane in self._lanes if lane.scheduler]
                if not waiting:
                    return None
                lane = min(waiting, key=_spent) if len(waiting) > 1 else waiting[0]
                self._spent = lane.spent
                if batch := lane.scheduler.next_batch():
                    self._running.begin(lane, batch)
                    return lane, batch

    def _has_work(self) -> bool:
        return self._closed or any(lane.scheduler for lane in self._lanes)

    def _compute(self, lane: Lane, batch: list[Entry]) -> None:
        """Compute a batch, equal texts once, and hand the vectors to their requests."""
        started = time.monotonic()
        rows: dict[bytes, int] = {}
        row_of = [rows.setdefault(entry.key, len(rows)) for entry in batch]
        unique = dict(zip(row_of, (entry.token_ids for entry in batch), strict=True))
        texts = list(unique.values())
        for entry in batch:
            entry.request.started = min(entry.request.started, started)
        vectors = self._embed_apart(lane, texts)
        self._count(lane, texts, time.monotonic() - started)
        with self._changed:
            batch += self._running.end()
        for entry in batch:
            vector = vectors[rows[entry.key]]
            if vector is not None:
                entry.request.put(entry.position, vector)
            else:
                self.cancel(lane, entry.request)
                entry.request.fail(ModelFailed(FAILED))

    def _count(self, lane: Lane, texts: Sequence[TokenIds], seconds: float) -> None:
        lengths = [len(text) for text in texts]
        tokens = sum(lengths)
        lane.rate.add(tokens, seconds)
        lane.spent += seconds
        self._meter.count_batch(len(texts), tokens, len(texts) * max(lengths), seconds)

    def _embed_apart(self, lane: Lane, texts: Sequence[TokenIds]) -> list[Vectors | None]:
        """Compute suspects alone, and not at all what ended a process."""
        if not self._suspects:
            return self._embed(lane, texts)
        vectors: dict[int, Vectors | None] = {}
        rest = []
        for index, text in enumerate(texts):
            if self._suspects.is_guilty(text, lane.person):
                vectors[index] = None
            elif self._suspects.is_suspect(text, lane.person):
                [vectors[index]] = self._embed(lane, [text])
            else:
                rest.append(index)
        if rest:
            vectors |= dict(zip(rest, self._embed(lane, [texts[index] for index in rest]), strict=True))
        return [vectors[index] for index in range(len(texts))]

    def _embed(self, lane: Lane, texts: Sequence[TokenIds]) -> list[Vectors | None]:
        """Return a vector for each text, None where the model failed on it alone."""
        vectors = self._try(lane, texts)
        if vectors is not None:
            return list(vectors)
        if len(texts) == 1:
            return [None]
        middle = len(texts) // 2
        return self._embed(lane, texts[:middle]) + self._embed(lane, texts[middle:])

    def _try(self, lane: Lane, texts: Sequence[TokenIds]) -> Vectors | None:
        """Run the model once; log an error and return None."""
        self.batches += 1
        self.allowed_seconds = lane.allowed_seconds(len(texts) * max(map(len, texts)))
        if self._suspects is not None:
            self._suspects.begin(texts, lane.person)
        try:
            return lane.model.embed(texts)
        except Exception as error:
            ran_out = has_run_out(error)
            if len(texts) == 1:
                log.exception("the model failed on a text of %d tokens", len(texts[0]))
            else:
                log.warning("the model failed on %d texts, each half is tried: %s", len(texts), first_line(error))
        finally:
            self.allowed_seconds = 0.0
            if self._suspects is not None:
                self._suspects.end(texts, lane.person)
        if ran_out:  # outside of the handler, whose traceback holds the batch's tensors
            lane.model.free()
            self._host.trim()
        return None


def _spent(lane: Lane) -> float:
    return lane.spent


def _open_record(path: Path, *, blames_kills: bool) -> Suspects | None:
    try:
        return Suspects(path, blames_kills=blames_kills)
    except OSError as error:
        log.warning("%s: %s; a text that ends this process may end the next one too", path, error.strerror)
        return None
