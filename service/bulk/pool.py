"""The devices of a run: what each was given and has not finished, and who does the tasks of one that died."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from service.bulk.messages import Task

#: How many processes may die over one task. One text ends two of them, and the third refuses it.
MAX_DEATHS = 20

#: How often in a row a process may die while it loads the model.
MAX_FAILED_STARTS = 3


class Device(ABC):
    """A process somewhere, and what it was given and has not finished."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.again: deque[Task] = deque()
        self.is_ready = self.asks = self.has_ended = False
        self.failed_starts = 0

    def begin(self) -> None:
        """Forget the process before: a new one takes its place."""
        self.is_ready = self.asks = self.has_ended = False

    def give(self, task: Task | None) -> None:
        """Send a task; None to end the process."""
        self.asks = False
        if task is None:
            self.has_ended = True
        else:
            self.tasks.append(task)
        self._send(b"" if task is None else msgspec.msgpack.encode(task))

    @abstractmethod
    def _send(self, message: bytes) -> None:
        """Send a message; nothing happens if the process has died, which ``Pool.wait`` finds."""


class Pool(ABC):
    """Starts a process for each device and hands on what they say. One that dies is replaced."""

    def __init__(self) -> None:
        self._deaths: dict[int, int] = {}
        #: The tasks over which too many processes died.
        self.lost: list[Task] = []

    @property
    @abstractmethod
    def devices(self) -> Sequence[Device]:
        """All devices, those that are being replaced included."""

    @abstractmethod
    def wait(self, seconds: float) -> Iterator[tuple[Device, Any]]:
        """Yield what processes said within so many seconds.

        Raises:
            BulkFailed: no process can take the place of one that died.
        """

    @abstractmethod
    def close(self) -> None:
        """End all processes: at once those that have not ended."""

    def is_busy(self) -> bool:
        """Tell whether a process has something to do, or has not heard yet that there is nothing."""
        return any(device.tasks or device.again or not device.has_ended for device in self.devices)

    def _take_back(self, device: Device) -> None:
        """Let the tasks of a process that died be done again; blame the first, and give it up after too many deaths."""
        device.again = deque([*device.tasks, *device.again])
        device.tasks = []
        if device.is_ready and device.again:
            index = device.again[0].shard.index
            self._deaths[index] = self._deaths.get(index, 0) + 1
            if self._deaths[index] >= MAX_DEATHS:
                self.lost.append(device.again.popleft())
