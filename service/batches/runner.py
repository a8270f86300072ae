"""The process that runs what waits, one batch after the other, and ends; each loads the model in a further process."""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from service import logs
from service.batches import requests, results
from service.batches.batch import Batch, Batches, Mistake, Mistakes, Status
from service.batches.store import RUN_LOCK, Store
from service.bulk.runner import Plan, Run
from service.bulk.sources import Source
from service.bulk.worker import Load, end_with_parent
from service.errors import BatchFailed, BulkChanged, BulkFailed, StartError, UnknownModel
from service.settings import Settings

log = logging.getLogger(__name__)

#: Rows of a part: what is lost when a run is stopped, and computed again.
PART_ROWS = 256

#: How often a run looks for what its clients want, and says how far it is.
LOOK_SECONDS = 1.0

#: Returns the settings with which the model of this name is loaded.
Prepare = Callable[[Settings, str | None], Settings]


def run(store: Store, settings: Settings, prepare: Prepare, load: Load) -> None:
    """Run all batches that wait; the parent's end ends this process."""
    end_with_parent()
    logs.set_up_logging()
    store.lock(RUN_LOCK, wait=True)
    runner = Runner(store, settings, prepare, load)
    try:
        while runner.step():
            pass
    except StartError as error:
        log.error("batches wait: %s", error)  # noqa: TRY400  # one line for an operator
        sys.exit(os.EX_TEMPFAIL)


class Runner:
    """Takes batches from one status to the next.

    Args:
        store: has them.
        settings: of the service.
        prepare: finds a model.
        load: loads it in a further process.
    """

    def __init__(self, store: Store, settings: Settings, prepare: Prepare, load: Load) -> None:
        self._files, self._batches = store.files, store.batches
        self._settings = settings
        self._prepare = prepare
        self._load = load
        self._next_look = 0.0
        self._is_stopped = False

    def step(self) -> bool:
        """Bring the first batch to its end; tell whether there was one, and this process is to go on.

        Raises:
            StartError: its model cannot be prepared, though it is served: this is no fault of the batch.
        """
        batch = next(iter(self._batches.live()), None)
        if batch is None or self._is_stopped:
            return False
        self._take(batch)
        return not self._is_stopped

    def _take(self, batch: Batch) -> None:
        try:
            self._bring_to_end(batch)
        except BatchFailed as error:
            log.error("batch %s failed: %s", batch.id, error)  # noqa: TRY400  # one line for an operator
            fail(self._batches, batch, [Mistake("server_error", str(error))])
        except StartError:
            raise
        except Exception:
            log.exception("batch %s failed", batch.id)
            mistake = Mistake("server_error", "the service failed on this batch; its log has the reason")
            fail(self._batches, batch, [mistake])

    def _bring_to_end(self, batch: Batch) -> None:
        if ending := self._batches.ending(batch):
            self._end(batch, ending)
            return
        if batch.status == "validating":
            self._check(batch)
        if batch.status == "in_progress":
            self._embed(batch)
        if batch.status == "finalizing":
            self._end(batch, "completed")

    def _check(self, batch: Batch) -> None:
        checked = requests.check(self._batches.input_of(batch))
        batch.request_counts.total = checked.total
        batch.model = checked.model
        mistakes = checked.mistakes
        if not mistakes:
            try:
                self._prepare(self._settings, batch.model)
            except UnknownModel as error:
                mistakes = [Mistake("model_not_found", str(error), param="body.model")]
        if mistakes:
            fail(self._batches, batch, mistakes)
        else:
            batch.enter("in_progress")
            self._batches.write(batch)

    def _embed(self, batch: Batch) -> None:
        """Run a batch; one whose parts were made by another model begins anew."""
        log.info("batch begins", extra={"fields": _describe(batch)})
        settings = self._prepare(self._settings, batch.model)
        try:
            complete = self._run(batch, settings, fresh=False)
        except BulkChanged:
            complete = self._run(batch, settings, fresh=True)
        if complete:
            batch.enter("finalizing")
            self._batches.write(batch)

    def _run(self, batch: Batch, settings: Settings, *, fresh: bool) -> bool:
        """Return False if the run was stopped; its batch has ended then, or waits for the next process."""
        out = self._batches.directory_of(batch)
        columns = {"request": ""}
        source = Source([str(self._batches.input_of(batch))], "text", columns, "openai-batch")
        asked: dict[str, Any] = {"prompt": None, "dimensions": None, "truncate": self._settings.truncate}
        asked |= {"type": "openai-batch", "write": "openai-batch"}
        plan = Plan(
            out=out,
            options=asked | {"columns": columns},
            suffix="jsonl",
            devices=[settings.device],
            shard_rows=PART_ROWS,
            fresh=fresh,
        )
        run: Run
        run = Run(plan, source, self._load, settings, is_wanted=lambda: self._is_wanted(batch, run))
        try:
            run.run()
        except BulkChanged:
            raise
        except BulkFailed:
            if not run.interrupted and self._batches.ending(batch) is None:
                raise
        self._is_stopped = run.interrupted
        if ending := self._batches.ending(batch):
            self._end(batch, ending)
        return not (ending or run.interrupted)

    def _is_wanted(self, batch: Batch, run: Run) -> bool:
        """Say how far a run is, and whether it is to go on."""
        if time.monotonic() < self._next_look:
            return True
        self._next_look = time.monotonic() + LOOK_SECONDS
        done, failed = run.progress.rows + run.progress.skipped, run.progress.failed
        if done != batch.request_counts.completed + batch.request_counts.failed:
            batch.request_counts.completed, batch.request_counts.failed = done - failed, failed
            self._batches.write(batch)
        for other in self._batches.live():
            if other.id != batch.id and self._batches.ending(other):
                self._take(other)
        if self._batches.ending(batch):
            return False
        self._check_room(batch)
        return True

    def _check_room(self, batch: Batch) -> None:
        """End a batch whose answers would not fit: they are written twice."""
        parts = sum(path.stat().st_size for path in self._batches.directory_of(batch).glob("part-*"))
        if self._files.room() < parts:
            raise BatchFailed(
                "the answers do not fit into EMBED_BATCHES_BYTES; send fewer requests at a time, ask for base64, or "
                "delete files that you need no more"
            )

    def _end(self, batch: Batch, status: Status) -> None:
        if status == "cancelled":
            batch = self._batches.show(batch)
        results.publish(self._files, self._batches, batch, status)
        batch.enter(status)
        self._batches.close(batch)
        log.info("batch ended", extra={"fields": _describe(batch)})


def fail(batches: Batches, batch: Batch, mistakes: list[Mistake]) -> None:
    """End a batch that failed."""
    batch.errors = Mistakes(mistakes)
    batch.enter("failed")
    batches.close(batch)
    log.info("batch ended", extra={"fields": _describe(batch)})


def _describe(batch: Batch) -> dict[str, Any]:
    counts = batch.request_counts
    return {"batch": batch.id, "status": batch.status, "requests": counts.total, "failed": counts.failed}
