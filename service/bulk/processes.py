"""The processes of a run, one for each device; one that dies is replaced and gets its tasks again."""

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from service.bulk.messages import Job, Ready, Task
from service.bulk.worker import Load, work
from service.errors import BulkFailed
from service.settings import Settings

log = logging.getLogger(__name__)

#: How many processes may die over one task. One text ends two of them, and the third refuses it.
MAX_DEATHS = 20

#: How often in a row a process may die while it loads the model.
MAX_FAILED_STARTS = 3


class Device:
    """A process, and what it was given and has not finished."""

    def __init__(self, device: str, number: int) -> None:
        self.device = device
        self.number = number
        self.tasks: list[Task] = []
        self.again: deque[Task] = deque()
        self.is_ready = self.asks = self.has_ended = False
        self.failed_starts = 0
        self.link: Connection
        self.process: Any

    def give(self, task: Task | None) -> None:
        """Send a task; None to end the process."""
        self.asks = False
        try:
            if task is None:
                self.has_ended = True
                self.link.send_bytes(b"")
            else:
                self.tasks.append(task)
                self.link.send_bytes(msgspec.msgpack.encode(task))
        except OSError:  # it died: the link says so when it is read
            self.has_ended = False


class Processes:
    """Starts a process for each device and hands on what they say.

    Args:
        load: loads the model of a process.
        settings: of the model.
        devices: ``cpu`` or ``cuda:N``, each as often as it has processes.
        job: what they are told.
    """

    def __init__(self, load: Load, settings: Settings, devices: Sequence[str], job: Job) -> None:
        self._load = load
        self._settings = settings
        self._job = job
        self._context = multiprocessing.get_context("spawn")
        self._deaths: dict[int, int] = {}
        #: The tasks over which too many processes died.
        self.lost: list[Task] = []
        self.devices = [Device(device, number) for number, device in enumerate(devices, 1)]
        for device in self.devices:
            self._start(device)

    def wait(self, seconds: float) -> Iterator[tuple[Device, Any]]:
        """Yield what processes said within so many seconds.

        Raises:
            BulkFailed: processes of a device died while they loaded the model, again and again.
        """
        links = {device.link: device for device in self.devices if not (device.has_ended and not device.tasks)}
        for link in connection.wait(list(links), seconds):
            device = links[link]  # type: ignore[index]  # it is one of the links
            try:
                message = device.link.recv()
            except (EOFError, OSError):
                self._replace(device)
                continue
            device.is_ready |= isinstance(message, Ready)
            yield device, message

    def is_busy(self) -> bool:
        """Tell whether a process has something to do, or has not heard yet that there is nothing."""
        return any(device.tasks or device.again or not device.has_ended for device in self.devices)

    def close(self) -> None:
        """End all processes: at once those that have not ended."""
        for device in self.devices:
            if device.has_ended and not device.tasks:
                device.process.join(10)
            device.process.kill()
            device.process.join()
            device.link.close()

    def _start(self, device: Device) -> None:
        device.link, theirs = self._context.Pipe()
        settings = msgspec.structs.replace(self._settings, device=device.device)
        arguments = (theirs, self._load, settings, device.number, self._job)
        device.is_ready = device.asks = device.has_ended = False
        device.process = self._context.Process(target=work, args=arguments, daemon=True)
        device.process.start()
        theirs.close()

    def _replace(self, device: Device) -> None:
        device.process.join()
        device.failed_starts = 0 if device.is_ready else device.failed_starts + 1
        if device.failed_starts == MAX_FAILED_STARTS:
            raise BulkFailed(_explain(device))
        code = device.process.exitcode
        log.warning("process %d died with exit status %s, another takes its place", device.number, code)
        device.link.close()
        device.again = deque([*device.tasks, *device.again])
        device.tasks = []
        if device.is_ready:
            self._count_death(device.again)
        self._start(device)

    def _count_death(self, tasks: deque[Task]) -> None:
        """Blame the first task, and give it up after too many."""
        if tasks:
            index = tasks[0].shard.index
            self._deaths[index] = self._deaths.get(index, 0) + 1
            if self._deaths[index] >= MAX_DEATHS:
                self.lost.append(tasks.popleft())


def _explain(device: Device) -> str:
    code = device.process.exitcode
    told = f"{MAX_FAILED_STARTS} processes of {device.device} in a row died while they loaded the model"
    if code == -signal.SIGKILL:
        return f"{told}, killed by signal 9: memory ran out, or somebody killed them; give --devices fewer processes"
    return f"{told}, the last with exit status {code}; its last words are above"
