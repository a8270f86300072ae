"""The devices of this machine: a process for each."""

import logging
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from service.bulk.messages import Job, Place, Ready
from service.bulk.pool import MAX_FAILED_STARTS, Device, Pool
from service.bulk.worker import Load, work
from service.errors import BulkFailed
from service.settings import Settings

log = logging.getLogger(__name__)


class Process(Device):
    """A process of this machine."""

    def __init__(self, device: str, place: Place) -> None:
        super().__init__()
        self.device = device
        self.place = place
        self.link: Connection
        self.process: Any

    def _send(self, message: bytes) -> None:
        try:
            self.link.send_bytes(message)
        except OSError:  # it died: the link says so when it is read
            self.has_ended = False


class Processes(Pool):
    """The processes of this machine.

    Args:
        load: loads the model of a process.
        settings: of the model.
        devices: ``cpu`` or ``cuda:N``, each as often as it has processes.
        job: what they are told.
    """

    def __init__(self, load: Load, settings: Settings, devices: Sequence[str], job: Job) -> None:
        super().__init__()
        self._load = load
        self._settings = settings
        self._job = job
        self._context = multiprocessing.get_context("spawn")
        places = [Place(number, len(devices), f".process-{number}") for number in range(1, len(devices) + 1)]
        self._devices = [Process(device, place) for device, place in zip(devices, places, strict=True)]
        for device in self._devices:
            self._start(device)

    @property
    def devices(self) -> Sequence[Process]:
        """All devices."""
        return self._devices

    def wait(self, seconds: float) -> Iterator[tuple[Device, Any]]:
        """Yield what processes said within so many seconds.

        Raises:
            BulkFailed: processes of a device died while they loaded the model, again and again.
        """
        links = {device.link: device for device in self._devices if not (device.has_ended and not device.tasks)}
        for link in connection.wait(list(links), seconds):
            device = links[link]  # type: ignore[index]  # it is one of the links
            try:
                message = device.link.recv()
            except (EOFError, OSError):
                self._replace(device)
                continue
            device.is_ready |= isinstance(message, Ready)
            yield device, message

    def close(self) -> None:
        """End all processes: at once those that have not ended."""
        for device in self._devices:
            if device.has_ended and not device.tasks:
                device.process.join(10)
            device.process.kill()
            device.process.join()
            device.link.close()

    def _start(self, device: Process) -> None:
        device.begin()
        device.link, theirs = self._context.Pipe()
        settings = msgspec.structs.replace(self._settings, device=device.device)
        arguments = (theirs, self._load, settings, device.place, self._job)
        device.process = self._context.Process(target=work, args=arguments, daemon=True)
        device.process.start()
        theirs.close()

    def _replace(self, device: Process) -> None:
        device.process.join()
        device.failed_starts = 0 if device.is_ready else device.failed_starts + 1
        if device.failed_starts == MAX_FAILED_STARTS:
            raise BulkFailed(_explain(device))
        code = device.process.exitcode
        log.warning("process %d died with exit status %s, another takes its place", device.place.number, code)
        device.link.close()
        self._take_back(device)
        self._start(device)


def _explain(device: Process) -> str:
    code = device.process.exitcode
    told = f"{MAX_FAILED_STARTS} processes of {device.device} in a row died while they loaded the model"
    if code == -signal.SIGKILL:
        return f"{told}, killed by signal 9: memory ran out, or somebody killed them; give --devices fewer processes"
    return f"{told}, the last with exit status {code}; its last words are above"
