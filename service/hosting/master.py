"""The uWSGI master from outside: its statistics socket and its command fifo."""

import logging
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from service.errors import CommandFailed, MasterBusy

log = logging.getLogger(__name__)

STATS_TIMEOUT_SECONDS = 2.0
POLL_SECONDS = 0.05


class Core(msgspec.Struct):
    """A thread of a worker."""

    in_request: int


class Worker(msgspec.Struct):
    """A worker as ``stats`` shows it; ``accepting`` becomes 1 once its app is loaded."""

    id: int
    pid: int
    accepting: int
    respawn_count: int
    cores: list[Core]


class Workers(msgspec.Struct):
    """The part of ``stats`` that is read here."""

    workers: list[Worker]


class Master(NamedTuple):
    """A master, by the directory that holds its fifo and its statistics: ``EMBED_RUN_DIR``."""

    run_dir: Path

    def workers(self) -> list[Worker]:
        """Return the workers.

        Raises:
            MasterBusy: the master did not answer in time or in full.
            CommandFailed: no master runs.
        """
        try:
            # Headers of the requests in flight are in there too, as the clients sent them.
            return msgspec.json.decode(self.read().decode(errors="replace"), type=Workers).workers
        except msgspec.DecodeError as error:
            raise MasterBusy(f"uWSGI's answer on {self.run_dir}/stats is incomplete: {error}") from None

    def read(self) -> bytes:
        """Return the statistics as uWSGI writes them, JSON.

        Raises:
            MasterBusy: the master did not answer in time.
            CommandFailed: no master runs.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(STATS_TIMEOUT_SECONDS)  # a master that is stopping answers no more
                connection.connect(str(self.run_dir / "stats"))
                return b"".join(iter(lambda: connection.recv(65536), b""))
        except (FileNotFoundError, ConnectionRefusedError, PermissionError) as error:
            raise CommandFailed(f"no uWSGI answers on {self.run_dir}/stats: {error.strerror}") from None
        except OSError as error:
            raise MasterBusy(f"uWSGI does not answer on {self.run_dir}/stats: {error.strerror or error}") from None

    def command(self, letter: str) -> None:
        """Send one of the fifo's commands, such as ``c`` for a rolling reload.

        Raises:
            CommandFailed: nobody reads the fifo.
        """
        try:
            fifo = os.open(self.run_dir / "fifo", os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(fifo, letter.encode())
            finally:
                os.close(fifo)
        except OSError as error:
            raise CommandFailed(f"no uWSGI reads {self.run_dir}/fifo: {error.strerror}") from None

    def reload(self, timeout: float) -> None:
        """Replace one worker after the other, and return when all are new and accept requests.

        Raises:
            CommandFailed: no master runs, a new worker failed to start, or ``timeout`` seconds passed. The workers that
                were not replaced yet go on serving, and uWSGI goes on trying.
        """
        started = time.monotonic()
        deadline = started + timeout
        rollout = Rollout(self._workers_by(deadline))
        self.command("c")
        while waiting := rollout.advance(self._workers_by(deadline)):
            if time.monotonic() > deadline:
                names = " and ".join(map(str, waiting))
                raise CommandFailed(f"after {timeout:g} seconds worker {names} is not replaced yet; it goes on")
            time.sleep(POLL_SECONDS)
        log.info("replaced %d workers in %.1f seconds", len(rollout.old), time.monotonic() - started)

    def _workers_by(self, deadline: float) -> list[Worker]:
        """Ask until the master answers; it does nothing else while it starts a worker on a busy machine."""
        while True:
            try:
                return self.workers()
            except MasterBusy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


class Rollout:
    """What is known of a rolling reload, from one look at the workers to the next.

    Args:
        workers: the workers before it.
    """

    def __init__(self, workers: list[Worker]) -> None:
        self.old = {worker.id: worker.pid for worker in workers}
        self._starting: dict[int, int] = {}

    def advance(self, workers: list[Worker]) -> list[int]:
        """Return the numbers of the workers that are not new or accept no requests yet.

        Raises:
            CommandFailed: a new worker ended before it ever accepted requests.
        """
        return [worker.id for worker in workers if not self._is_new(worker)]

    def _is_new(self, worker: Worker) -> bool:
        if worker.pid in {0, self.old.get(worker.id)}:
            return False
        if worker.accepting:
            self._starting.pop(worker.id, None)
            return True
        if self._starting.setdefault(worker.id, worker.pid) != worker.pid:
            raise CommandFailed(
                f"worker {worker.id} does not start: it ended before it accepted requests; the log says why, and it is "
                "tried again"
            )
        return False
