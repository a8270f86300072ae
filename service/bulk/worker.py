"""A device's process: it asks for shards, and turns each into a part.

Three threads keep the model busy: while it computes one window, the next is tokenised and the one before is written.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import cycle
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from service import cpu, logs
from service.api.choices import Truncate
from service.bulk.answers import AnswersPart
from service.bulk.choices import Asked, ask, refuse_long
from service.bulk.messages import Done, Failed, Job, More, Place, Progress, Ready, Task
from service.bulk.parts import JsonlPart, Part
from service.bulk.shards import unpack, windows
from service.bulk.tally import Tally
from service.bulk.windows import Tokenized, embed, finish, tokenize
from service.engine.engine import Engine
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.limits import Limits
from service.engine.model import Model, Reading
from service.engine.options import Options
from service.engine.request import Request
from service.errors import BulkFailed, ServiceError, first_line
from service.hosting import malloc
from service.settings import Settings

log = logging.getLogger(__name__)

#: Loads the model of a process: settings, the number of the process from 1, and how many share the cores.
Load = Callable[[Settings, int, int], Model]


class Link(Protocol):
    """How a process and its run speak to each other."""

    def send(self, message: Any, /) -> None:
        """Tell the run something."""

    def recv_bytes(self) -> bytes:
        """Wait for a task as MessagePack; it is empty if there are no more."""


def work(link: Connection, load: Load, settings: Settings, place: Place, job: Job) -> None:
    """Run a device's process until there are no more tasks.

    Args:
        link: to the parent.
        load: loads the model.
        settings: with the device of this process.
        place: of this process.
        job: what to do.
    """
    for each in (signal.SIGINT, signal.SIGTERM):  # a terminal sends them to all; the parent asks for no more
        signal.signal(each, signal.SIG_IGN)
    end_with_parent()
    if not attend(link, load, settings, place, job):
        os._exit(1)  # a thread may wait for a task that does not come


def attend(link: Link, load: Load, settings: Settings, place: Place, job: Job) -> bool:
    """Load the model and compute until there are no more tasks; return False if the run was told why that failed."""
    logs.set_up_logging()
    malloc.limit_malloc()
    cpu.limit_tokenizers(cpu.share(place.sharers))
    try:
        _run(link, load(settings, place.number, place.sharers), settings, place, job)
    except ServiceError as error:
        link.send(Failed(str(error)))
    except OSError as error:
        link.send(Failed(f"{job.directory}: {error.strerror or error}"))
    except Exception as error:
        log.exception("process %d failed", place.number)
        link.send(Failed(f"process {place.number} failed, its log has the traceback: {first_line(error)}"))
    else:
        return True
    return False


def limits_of(settings: Settings) -> Limits:
    """Return the limits of an engine that one caller has for itself."""
    return Limits(
        max_batch_tokens=None if settings.max_batch_tokens == "auto" else settings.max_batch_tokens,
        batch_timeout=None if settings.batch_timeout == "auto" else settings.batch_timeout,
    )


def _run(link: Link, model: Model, settings: Settings, place: Place, job: Job) -> None:
    _check(model, job)
    tally = Tally()
    host = Host(_end, malloc.trim, Path(job.directory) / place.record, blames_kills=True)
    # Two lanes, for a window each: no batch has texts of two windows, and a part that is made again has the same bits.
    with closing(Engines([model, model], host, limits_of(settings), tally)) as engines:
        engines.calibrate()
        tally.take()
        link.send(Ready(model.name, model.revision, model.fingerprint))
        Worker(link, list(engines), tally, job, settings.truncate).run()


class Step(NamedTuple):
    """A window on its way: its task's columns, tokenised, the engine that computes it, and if it is the task's last."""

    task: Task
    columns: Any
    tokenized: Tokenized
    engine: Engine
    last: bool


class Worker:
    """Computes tasks with engines of one model, which take the windows in turn."""

    def __init__(self, link: Link, engines: Sequence[Engine], tally: Tally, job: Job, truncate: Truncate) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._engines = cycle(engines)
        self._model = engines[0].model
        self._tally = tally
        self._job = job
        prompt = None if job.prompt is None else self._model.prompts[job.prompt]
        self._default = Options(Reading(prompt), job.dimensions)
        self._options = Options(normalize=False) if job.type == "openai-batch" else self._default
        self._truncate = truncate
        self._part: Part | None = None
        self._failed = 0

    def run(self) -> None:
        """Compute until there are no more tasks.

        Raises:
            OSError: a part cannot be written.
        """
        steps = self._steps()
        written: Future[None] | None = None
        before: tuple[Step, Request] | None = None
        # Not in a ``with``: where a step raises it would wait for the next task before the run hears of the error.
        tokenizer, writer = ThreadPoolExecutor(1, "tokenizer"), ThreadPoolExecutor(1, "writer")
        ahead: Future[Step | None] | None = tokenizer.submit(next, steps, None)
        while before or ahead:
            step = ahead.result() if ahead else None
            ahead = tokenizer.submit(next, steps, None) if step else None
            request = step.engine.submit(step.tokenized.ids) if step else None
            if before:
                embedded = embed(before[0].engine, before[1], before[0].tokenized, self._options)
                if written:
                    written.result()
                written = writer.submit(self._write, before[0], embedded)
            before = (step, request) if step and request else None
        if written:
            written.result()
        tokenizer.shutdown()
        writer.shutdown()

    def _steps(self) -> Iterator[Step]:
        while task := self._ask():
            texts, columns = task.shard.texts, unpack(task.shard)
            readings = [self._default.reading] * len(texts)
            asked: list[Asked] = []
            if self._job.type == "openai-batch":
                asked = columns["asked"] = ask(
                    self._model, task.shard, columns["request"], self._default, self._truncate
                )
                readings = [each.options.reading for each in asked]
            for window in windows(texts):
                tokenized = tokenize(self._model, texts, window, readings)
                if asked:
                    refuse_long(self._model, task.shard, asked, tokenized)
                yield Step(task, columns, tokenized, next(self._engines), window.stop == len(texts))

    def _ask(self) -> Task | None:
        self._send(More())
        message = self._link.recv_bytes()
        return msgspec.msgpack.decode(message, type=Task) if message else None

    def _write(self, step: Step, embedded: Any) -> None:
        task, shard = step.task, step.task.shard
        if self._part is None:
            self._part = _start(Path(self._job.directory), task, self._model)
        results = finish(shard, step.columns, step.tokenized, embedded, self._job.type)
        self._part.write(results)
        self._failed += results.failed
        if step.last:
            self._part.finish()
            self._part = None
        self._send(Progress(len(results.errors), *self._tally.take()))
        if step.last:
            self._send(Done(shard.index, len(shard.texts), self._failed))
            self._failed = 0

    def _send(self, message: Any) -> None:
        with self._lock:
            self._link.send(message)


def _start(directory: Path, task: Task, model: Model) -> Part:
    """Begin the part of a task."""
    match task.metadata["write"]:
        case "openai-batch":
            return AnswersPart(directory, task.name, model)
        case "jsonl":
            return JsonlPart(directory, task.name)
    from service.bulk.parquet import ParquetPart

    return ParquetPart(directory, task.name, task.metadata)


def _check(model: Model, job: Job) -> None:
    if job.prompt is not None and job.prompt not in model.prompts:
        names = ", ".join(model.prompts) or "none"
        raise BulkFailed(f"--prompt {job.prompt}: {model.name} has no prompt of this name; it has {names}")
    if job.dimensions is not None and not 1 <= job.dimensions <= model.dimension:
        raise BulkFailed(f"--dimensions {job.dimensions}: {model.name} has 1 to {model.dimension}")


def _end(reason: str) -> None:
    log.error("%s; another process takes the place of this one", reason)
    os._exit(1)


def end_with_parent() -> None:
    """End this process when the one that started it has ended, however it did."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os._exit(1)
