"""A run: shards to the devices, parts into a directory; what is there already is not done again."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from service.bulk import manifest, parts
from service.bulk.interrupts import Interrupts
from service.bulk.manifest import Manifest
from service.bulk.messages import Done, Failed, Job, More, Ready, Task
from service.bulk.messages import Progress as Step
from service.bulk.pool import Device, Pool
from service.bulk.processes import Processes
from service.bulk.progress import Progress
from service.bulk.shards import Shard, divide
from service.bulk.sources import Source
from service.bulk.worker import Load
from service.errors import BulkFailed
from service.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5

#: Starts a process for each of the devices, which are named.
Start = Callable[[Load, Settings, Sequence[str], Job], Pool]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for.

    Args:
        out: the directory of the parts.
        options: what the vectors depend on beside the model, as the manifest tells it.
        suffix: parquet or jsonl.
        devices: one for each process.
        shard_rows: the most rows of a part.
        limit: read only so many rows.
        fresh: whether to throw away what is there.
    """

    out: Path
    options: dict[str, Any]
    suffix: str
    devices: list[str]
    shard_rows: int
    limit: int | None = None
    fresh: bool = False


class Run:
    """Embeds a corpus.

    Args:
        plan: what is asked for.
        source: the rows.
        load: loads the model of a process.
        settings: of the model.
        start: starts the processes.
        is_wanted: asked every half a second; False ends the run at once, and finished parts stay.
    """

    def __init__(  # noqa: PLR0913  # the parts of a run
        self,
        plan: Plan,
        source: Source,
        load: Load,
        settings: Settings,
        *,
        start: Start = Processes,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._start = start
        self._plan = plan
        self._source = source
        self._load = load
        self._settings = settings
        self._is_wanted = is_wanted
        self.progress = Progress(source.size)
        self._interrupts = Interrupts()
        self._parts: dict[int, manifest.Part] = {}
        self._model: Ready | None = None
        self._manifest: Manifest
        self._tasks: Iterator[Task]

    def run(self) -> Manifest:
        """Embed what is missing; return the manifest, complete unless the run was interrupted or rows were lost.

        Raises:
            BulkFailed: the run cannot be done, or cannot go on; finished parts stay.
        """
        with _locked(self._plan.out), self._interrupts:
            parts.clear(self._plan.out)
            # What was killed before may have been killed by an operator: only this run's own processes are evidence.
            parts.remove(self._plan.out.glob(".process-*"))
            options = self._plan.options
            job = Job(str(self._plan.out), options["prompt"], options["dimensions"], options["type"])
            pool = self._start(self._load, self._settings, self._plan.devices, job)
            try:
                self._begin(pool)
                while pool.is_busy():
                    self._turn(pool)
            finally:
                pool.close()
            return self._end(pool)

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self._interrupts.count > 0

    def _begin(self, pool: Pool) -> None:
        """Wait for the first model, and compare with what is there."""
        while not (model := self._model):
            for device, message in pool.wait(POLL_SECONDS):
                self._hear(device, message)
            self._interrupts.raise_if_any()
            self._check_wanted()
        made_by = {"fingerprint": model.fingerprint} | self._plan.options
        self._manifest = Manifest(
            model=model.model, revision=model.revision, made_by=made_by, inputs=self._source.paths
        )
        self._clear_or_check()
        self._manifest.write(self._plan.out)
        self._tasks = self._missing()
        self.progress.begin()

    def _clear_or_check(self) -> None:
        old = None if self._plan.fresh else manifest.read(self._plan.out)
        if self._plan.fresh:
            parts.remove(parts.find(self._plan.out).values())
        elif old:
            manifest.check(old, self._manifest, self._plan.out)

    def _turn(self, pool: Pool) -> None:
        for device, message in pool.wait(POLL_SECONDS):
            self._hear(device, message)
        for device in pool.devices:
            if device.asks:
                device.give(self._next(device))
        self._interrupts.raise_if_twice()
        self._check_wanted()
        self.progress.processes = sum(device.is_ready for device in pool.devices)
        self.progress.show()

    def _check_wanted(self) -> None:
        if not self._is_wanted():
            raise BulkFailed("the rest is not wanted any more; finished parts stay")

    def _next(self, device: Device) -> Task | None:
        while device.again:
            if not self._is_there(task := device.again.popleft()):
                return task
        return None if self._interrupts.count else next(self._tasks, None)

    def _is_there(self, task: Task) -> bool:
        """Count the part of a task whose process died after it had finished it, and before it could say so."""
        path = self._plan.out / task.name
        if there := path.exists():
            self._skip(task.shard, path)
        return there

    def _hear(self, device: Device, message: Any) -> None:
        match message:
            case Ready():
                self._model = self._model or message
                if message.fingerprint != self._model.fingerprint:
                    raise BulkFailed("the devices run different models or dtypes; EMBED_DTYPE names one that all have")
            case More():
                device.asks = True
            case Step(rows, tokens, padded_tokens):
                self.progress.add(rows, tokens, padded_tokens)
            case Done(index, rows, failed):
                task = next(task for task in device.tasks if task.shard.index == index)
                device.tasks.remove(task)
                self._parts[index] = manifest.Part(task.name, task.shard.first, rows, failed)
                self.progress.failed += failed
                self.progress.reach(task.shard.position)
            case Failed(reason):
                raise BulkFailed(reason)

    def _missing(self) -> Iterator[Task]:
        """Yield what has no part yet; remove a part that was made of other rows."""
        there = parts.find(self._plan.out)
        key = self._manifest.key()
        for shard in divide(self._source.chunks(self._plan.limit), self._plan.shard_rows):
            name = parts.name_of(shard, key, self._plan.suffix)
            old = there.get(shard.index)
            if old and old.name == name:
                self._skip(shard, old)
                continue
            if old:
                log.info("%s was made of other rows, it is made again", old.name)
                parts.remove([old])
            made_by = self._manifest.made_by | {"model": self._manifest.model, "first_row": shard.first}
            yield Task(shard, name, made_by)

    def _skip(self, shard: Shard, part: Path) -> None:
        failed = parts.count_failed(part)
        self._parts[shard.index] = manifest.Part(part.name, shard.first, len(shard.texts), failed)
        self.progress.failed += failed
        self.progress.skip(len(shard.texts), shard.position)

    def _end(self, pool: Pool) -> Manifest:
        self.progress.show(now=True)
        self.progress.end()
        done, out = self._manifest, self._plan.out
        lost = [task for task in pool.lost if not self._is_there(task)]
        done.parts = [self._parts[index] for index in sorted(self._parts)]
        done.rows, done.failed = (sum(getattr(part, name) for part in done.parts) for name in ("rows", "failed"))
        done.complete = not (self._interrupts.count or lost)
        for task in lost:
            first, rows = task.shard.first, len(task.shard.texts)
            log.error("rows %d to %d have no part: the process died over them each time", first + 1, first + rows)
        if done.complete:
            names = {part.name for part in done.parts}
            parts.remove(path for path in parts.find(out).values() if path.name not in names)
            parts.remove(out.glob(".process-*"))
        done.write(out)
        return done


class _locked:  # noqa: N801  # used as a function
    """Keep two runs from writing into one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise BulkFailed(f"{self._directory}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise BulkFailed(f"another run writes into {self._directory}; wait for it, or take another --out") from None

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
