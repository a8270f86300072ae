"""The uWSGI master from outside: what it tells on its statistics socket, and the commands that its fifo takes."""

import logging
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from service.errors import CommandFailed

log = logging.getLogger(__name__)

#: Seconds that the master may take to answer.
PATIENCE = 2.0

#: Seconds between two looks at the workers.
PERIOD = 0.05


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
            CommandFailed: no master answers.
        """
        return msgspec.json.decode(self.read(), type=Workers).workers

    def read(self) -> bytes:
        """Return the statistics as uWSGI writes them, JSON.

        Raises:
            CommandFailed: no master answers.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)  # a master that is stopping answers no more
                connection.connect(str(self.run_dir / "stats"))
                return b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise CommandFailed(f"no uWSGI answers on {self.run_dir}/stats: {error.strerror or error}") from None

    def command(self, letter: str) -> None:
        """Send one of the fifo's commands, such as ``c`` for a rolling reload.

        Raises:
            CommandFailed: nobody reads the fifo.
        """
        try:
            fifo = os.open(self.run_dir / "fifo", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise CommandFailed(f"no uWSGI reads {self.run_dir}/fifo: {error.strerror}") from None
        os.write(fifo, letter.encode())
        os.close(fifo)

    def reload(self, timeout: float) -> None:
        """Replace one worker after the other, and return when all are new and accept requests.

        Raises:
            CommandFailed: no master answers, a new worker failed to start, or ``timeout`` seconds passed. The workers
                that were not replaced yet go on serving, and uWSGI goes on trying.
        """
        old = {worker.id: worker for worker in self.workers()}
        started = time.monotonic()
        self.command("c")
        while waiting := [each for each in self.workers() if each.pid in {0, old[each.id].pid} or not each.accepting]:
            for worker in waiting:
                if worker.respawn_count > old[worker.id].respawn_count + 1:
                    raise CommandFailed(f"worker {worker.id} does not start; the log says why, and it is tried again")
            if time.monotonic() > started + timeout:
                names = " and ".join(str(worker.id) for worker in waiting)
                raise CommandFailed(f"after {timeout:g} seconds worker {names} is not replaced yet; it goes on")
            time.sleep(PERIOD)
        log.info("replaced %d workers in %.1f seconds", len(old), time.monotonic() - started)
