"""``python -m service batches``: waits for batches, and starts the process that runs them, at the lowest priority."""

import logging
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from service.batches.runner import Prepare, run
from service.batches.store import LOCK, Store
from service.bulk.worker import Load
from service.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5

#: How often what has expired is looked for, when nothing else happens.
SWEEP_SECONDS = 60.0

#: A process that was killed, for want of memory perhaps, is not started again at once.
RETRY_SECONDS = 10.0


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
    while True:
        store.sweep()
        if store.batches.live():
            process = context.Process(target=run, args=(store, settings, prepare, load))
            process.start()
            process.join()
            if process.exitcode:
                log.error("the process that runs batches ended with status %d; it is tried again", process.exitcode)
                time.sleep(RETRY_SECONDS)
        _wait(store.batches.directory)


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


def _wait(directory: Path) -> None:
    """Wait until a record comes."""
    before, deadline = directory.stat().st_mtime_ns, time.monotonic() + SWEEP_SECONDS
    is_settled = time.time_ns() - before > 10**9  # else the time may not tell of the next change
    while is_settled and directory.stat().st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    time.sleep(POLL_SECONDS)
