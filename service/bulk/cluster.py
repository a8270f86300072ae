"""The devices of a Ray cluster: an actor for each. What a lost one has not finished is done by another."""

import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from service.bulk import head, parts, seats
from service.bulk.member import Member, load_beside
from service.bulk.messages import Job, Ready
from service.bulk.pool import MAX_FAILED_STARTS, Device, Pool
from service.bulk.seats import Seat
from service.bulk.watch import Watch
from service.bulk.worker import Load
from service.errors import BulkFailed
from service.settings import Settings

log = logging.getLogger(__name__)

#: After this time others do the tasks of an actor for which the cluster has no room.
STRAY_SECONDS = 60.0


class Actor(Device):
    """A process on a node."""

    def __init__(self, number: int, seat: Seat) -> None:
        super().__init__()
        self.number = number
        self.seat = seat
        self.since = 0.0
        self.is_told = self.has_lost_node = False
        self.handle: Any = None
        self.placed: Any = None
        self.heard: Any = None

    def is_stray(self) -> bool:
        """Tell whether its tasks should not wait for it."""
        return self.is_late() or (self.has_lost_node and not self.is_ready)

    def is_late(self) -> bool:
        """Tell whether it takes long to load its model."""
        return not self.is_ready and time.monotonic() - self.since > STRAY_SECONDS

    def _send(self, message: bytes) -> None:
        with head.answering():
            self.handle.give.remote(message)


class Cluster(Pool):
    """The actors of a run.

    Args:
        address: as Ray takes it; ``auto`` for RAY_ADDRESS, else for the cluster that this machine belongs to.
        load: loads the model of an actor.
        settings: of the model.
        devices: one for each actor, or ``auto``.
        job: what they are told.

    Raises:
        BulkFailed: no cluster answers, or it has less than is asked for.
    """

    def __init__(self, address: str, load: Load, settings: Settings, devices: Sequence[str], job: Job) -> None:
        super().__init__()
        self._settings = settings
        directory = Path(job.directory).absolute()
        self._job = msgspec.structs.replace(job, directory=str(directory))
        self._witness = directory / f".shared-{secrets.token_hex(8)}"
        self._load = partial(load_beside, self._witness, load)
        self._devices: list[Actor] = []
        self._has_node = True
        place = head.join(address)
        self._watch = Watch(*place, self._end) if place else None
        try:
            parts.remove(directory.glob(".shared-*"))
            self._witness.touch()
            places = seats.assign(head.nodes(), devices)
            self._devices = [Actor(number, seat) for number, seat in enumerate(places, 1)]
            with head.answering():
                for actor in self._devices:
                    self._start(actor)
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> Sequence[Actor]:
        """All devices."""
        return self._devices

    def wait(self, seconds: float) -> Iterator[tuple[Device, Any]]:
        """Yield what actors said within so many seconds.

        Raises:
            BulkFailed: an actor died again and again while it loaded its model, or the cluster is lost.
        """
        with head.answering():
            self._pass_on()
            self._tell()
            refs = {actor.heard: actor for actor in self._devices if actor.tasks or not actor.has_ended}
            for ref in _ready(list(refs), seconds):
                actor = refs[ref]
                for message in self._fetch(actor):
                    actor.is_ready |= isinstance(message, Ready)
                    yield actor, message

    def is_busy(self) -> bool:
        """Tell whether there is something to do; once an actor has heard that there is nothing, none is awaited."""
        if any(actor.tasks or actor.again for actor in self._devices):
            return True
        ended = any(actor.has_ended for actor in self._devices)
        return not ended or any(actor.is_ready and not actor.has_ended for actor in self._devices)

    def close(self) -> None:
        """End all actors, and leave the cluster."""
        import ray

        with suppress(BulkFailed), head.answering():  # a cluster that is lost has ended them itself
            for actor in self._devices:
                if actor.handle:
                    ray.kill(actor.handle)
        ray.shutdown()
        if self._watch:
            self._watch.close()
        parts.remove([self._witness])

    def _end(self, reason: str) -> None:
        """End this process: its main thread may wait in Ray for the head."""
        log.error("%s", head.lost(reason))
        parts.remove([self._witness])
        os._exit(1)

    def _start(self, actor: Actor) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if actor.handle:
            ray.kill(actor.handle)
        actor.begin()
        seat = actor.seat
        settings = msgspec.structs.replace(self._settings, device=seat.device)
        member = ray.remote(Member).options(
            num_cpus=seat.cores,
            num_gpus=int(seat.device == "cuda"),
            max_concurrency=2,  # it is given a task while it is asked what it has to say
            scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=True),
        )
        actor.handle = member.remote(self._load, settings, actor.number, seat, self._job)
        actor.placed, actor.heard = actor.handle.__ray_ready__.remote(), actor.handle.hear.remote()
        actor.since, actor.is_told = time.monotonic(), False

    def _fetch(self, actor: Actor) -> list[Any]:
        """Return what an actor said, and ask it again; replace it if it died."""
        import ray

        try:
            messages: list[Any] = ray.get(actor.heard)
        except ray.exceptions.RayError as error:
            self._replace(actor, error)
            return []
        actor.heard = actor.handle.hear.remote()
        return messages

    def _replace(self, actor: Actor, error: Exception) -> None:
        actor.failed_starts = 0 if actor.is_ready else actor.failed_starts + 1
        reason = head.tell(error)
        if actor.failed_starts == MAX_FAILED_STARTS:
            raise BulkFailed(
                f"process {actor.number} died {MAX_FAILED_STARTS} times while it loaded the model: {reason}"
            )
        actor.has_lost_node = actor.seat.node not in {node.id for node in head.nodes()}
        lost = "is lost with its node" if actor.has_lost_node else f"died: {reason}"
        log.warning("process %d %s; what it has not finished is done again", actor.number, lost)
        self._take_back(actor)
        self._start(actor)

    def _retire(self, actor: Actor) -> None:
        """Start an actor no more: it would take the room of the one that does its tasks."""
        import ray

        ray.kill(actor.handle)
        actor.has_ended = True

    def _pass_on(self) -> None:
        """Let others do the tasks of actors that do not come back soon; start one again if all others have ended."""
        for actor in self._devices:
            other = _find_other(self._devices) if actor.again and actor.is_stray() else None
            if other:
                if other.has_ended:
                    self._retire(actor)
                    self._start(other)
                other.again.extend(actor.again)
                actor.again.clear()

    def _tell(self) -> None:
        """Say once what the run waits for: a node, if none is large enough for a process, or room on one."""
        awaited = [actor for actor in self._devices if actor.tasks or not actor.has_ended]
        needs = [] if any(actor.is_ready for actor in awaited) else [actor.seat for actor in awaited]
        least = min(needs, key=lambda seat: seat.cores, default=None)
        has_node = not least or any(least.fits(node) for node in head.nodes())
        if has_node and not self._has_node:
            log.warning("a node of the cluster can run a process again; the run goes on")
            for actor in awaited:
                actor.since, actor.is_told = time.monotonic(), False
        elif self._has_node and not has_node:
            log.warning("no node of the cluster has the %s that a process needs; the run waits for one", least)
        self._has_node = has_node
        for actor in awaited if has_node else []:
            if actor.is_late() and not actor.is_told and not _ready([actor.placed], 0):
                log.warning("process %d waits for room in the cluster", actor.number)
                actor.is_told = True


def _ready(refs: list[Any], seconds: float) -> list[Any]:
    """Wait for one answer, and return all that are there."""
    import ray

    return list(ray.wait(refs, num_returns=len(refs), timeout=0)[0]) if ray.wait(refs, timeout=seconds)[0] else []


def _find_other(actors: Sequence[Actor]) -> Actor | None:
    """Return an actor that will ask for more; if there is none, one that has ended."""
    asking = [actor for actor in actors if actor.is_ready and not actor.has_ended]
    ended = [actor for actor in actors if actor.has_ended and not actor.tasks]
    return min(asking, key=lambda actor: len(actor.again) + len(actor.tasks), default=None) or next(iter(ended), None)
