"""``python -m service batches``: waits for batches, and starts the process that runs them, at the lowest priority."""

import logging
import multiprocessing
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from service.batches.batch import Mistake, Status
from service.batches.runner import Prepare, fail, run
from service.batches.store import LOCK, Store
from service.bulk.worker import Load
from service.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5

#: How often what has expired is looked for, when nothing else happens.
SWEEP_SECONDS = 60.0

#: A process that was killed, for want of memory perhaps, is not started again at once.
RETRY_SECONDS = 10.0

#: How often it may be killed over a batch that gets no further. A restart of this process counts anew.
MAX_DEATHS = 5


class Place(NamedTuple):
    """How far a batch is."""

    batch: str
    status: Status
    parts: int


def watch(store: Store, settings: Settings, prepare: Prepare, load: Load) -> NoReturn:
    """Run the batches of a store, one at a time, until a signal ends this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    yield_cores()
    if not store.lock(LOCK, wait=False):
        log.info("another process runs the batches of %s; this one waits for its end", store.root)
        store.lock(LOCK, wait=True)
    log.info("batches of %s are run by this process", store.root)
    context = multiprocessing.get_context("spawn")
    deaths: Counter[Place] = Counter()
    while True:
        before = store.batches.directory.stat().st_mtime_ns
        store.sweep()
        if store.batches.live():
            process = context.Process(target=run, args=(store, settings, prepare, load))
            process.start()
            process.join()
            if process.exitcode:
                log.error("the process that runs batches ended with status %d; it is tried again", process.exitcode)
                if process.exitcode != os.EX_TEMPFAIL:
                    blame(store, deaths, process.exitcode)
                time.sleep(RETRY_SECONDS)
                continue
        _wait(store.batches.directory, before)


def blame(store: Store, deaths: Counter[Place], code: int) -> None:
    """Count a death for the batch whose turn it was; end the batch over which there were too many.

    Args:
        store: has the batch.
        deaths: those before.
        code: the exit code of the process: a signal if it is negative.
    """
    batch = next(iter(store.batches.live()), None)
    if batch is None:
        return
    place = Place(batch.id, batch.status, sum(1 for _ in store.batches.directory_of(batch).glob("part-*")))
    deaths[place] += 1
    if deaths[place] < MAX_DEATHS:
        return
    how = f"with status {code}; the log of the service has the reason"
    if code < 0:
        how = f"by signal {-code}: memory ran out, or somebody killed it"
    message = f"the process that runs this batch died {deaths[place]} times without a new part, the last time {how}"
    log.error("batch %s failed: %s", batch.id, message)
    try:
        fail(store.batches, batch, [Mistake("server_error", message)])
    except OSError:
        log.exception("batch %s is tried again, for its record cannot be written", batch.id)


def yield_cores() -> None:
    """Let everything else on this machine go first; processes that are started from here inherit it.

    Where the kernel groups processes by session, priorities count inside a group only, so the group goes last too.
    """
    os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text("19", "ascii")


def _wait(directory: Path, before: int) -> None:
    """Wait until a record comes after this time of the directory, in nanoseconds."""
    deadline = time.monotonic() + SWEEP_SECONDS
    is_settled = time.time_ns() - before > 10**9  # else the time may not tell of the next change
    while is_settled and directory.stat().st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    time.sleep(POLL_SECONDS)
