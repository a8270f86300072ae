"""A process on a node of a cluster: a worker in a thread, and two calls by which the run speaks with it."""

import os
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from service import cpu
from service.bulk.messages import Job, Place
from service.bulk.seats import Seat
from service.bulk.worker import Load, attend
from service.engine.model import Model
from service.errors import BulkFailed
from service.settings import Settings


class Mail:
    """Messages in both directions, until they are fetched."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[bytes] = SimpleQueue()
        self._said: SimpleQueue[Any] = SimpleQueue()

    def send(self, message: Any, /) -> None:
        """Tell the run something."""
        self._said.put(message)

    def recv_bytes(self) -> bytes:
        """Wait for a task."""
        return self._tasks.get()

    def put(self, task: bytes) -> None:
        """Hand over a task."""
        self._tasks.put(task)

    def take(self) -> list[Any]:
        """Wait until something was said, and return all of it."""
        messages = [self._said.get()]
        while not self._said.empty():
            messages.append(self._said.get())
        return messages


class Member:
    """What Ray makes an actor of.

    Args:
        load: loads the model.
        settings: with the device.
        number: of this process, from 1.
        seat: what it may take of its node.
        job: what to do.
    """

    def __init__(self, load: Load, settings: Settings, number: int, seat: Seat, job: Job) -> None:  # Ray starts it
        import ray

        self._mail = Mail()
        sharers = max(1, -(-cpu.cores() // max(1, seat.cores)))
        # A node that was lost says nothing about the texts: only who comes to the same node learns from the record.
        record = f".process-{number}-{ray.get_runtime_context().get_node_id()}"
        arguments = (self._mail, load, settings, Place(number, sharers, record), job)
        threading.Thread(target=attend, args=arguments, name="worker", daemon=True).start()

    def give(self, task: bytes) -> None:
        """Hand over a task as MessagePack; an empty one says that there are no more."""
        self._mail.put(task)

    def hear(self) -> list[Any]:
        """Wait until the worker says something, and return all that it said."""
        return self._mail.take()


def load_beside(witness: Path, load: Load, settings: Settings, number: int, sharers: int) -> Model:
    """Load the model where a file in the directory of the parts is seen.

    Raises:
        BulkFailed: it is not: the directory is not shared.
    """
    if not witness.exists():
        said = f"the node {os.uname().nodename} does not see what this machine writes into {witness.parent}"
        raise BulkFailed(f"{said}: --out must be a directory that this machine and all nodes share")
    return load(settings, number, sharers)
