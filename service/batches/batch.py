"""Batches: what a client asked for, and how far it is."""

import shutil
import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.batches.files import Expiry, File, Files
from service.batches.records import Records, by_age, is_stale, new_id
from service.bulk import disk
from service.errors import InvalidInput, Missing

#: OpenAI's completion_window, the only one that there is.
WINDOW_SECONDS = 24 * 3600

#: Room that a batch must find for its record: with the longest metadata and a hundred mistakes it has 132 KB.
RECORD_BYTES = 2**18

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]

#: Until one of these is reached, there is work to do.
LIVE = ("validating", "in_progress", "finalizing", "cancelling")


class Mistake(msgspec.Struct):
    """Why a batch failed; ``line`` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Mistakes(msgspec.Struct):
    """Why a batch failed, at every place."""

    data: list[Mistake]
    object: Literal["list"] = "list"


class Counts(msgspec.Struct):
    """The requests of a batch."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchObject(msgspec.Struct, kw_only=True):
    """A batch, as OpenAI shows it; times are Unix times in seconds."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: Literal["/v1/embeddings"] = "/v1/embeddings"
    model: str | None = None
    errors: Mistakes | None = None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: Counts
    metadata: Metadata | None = None


class Batch(BatchObject, kw_only=True):
    """A batch, whose it is, and when its files expire."""

    owner: str
    output_expires_after: Expiry | None = None

    def enter(self, status: Status) -> None:
        """Take a status, and note when."""
        self.status = status
        setattr(self, f"{status}_at", int(time.time()))

    @property
    def is_live(self) -> bool:
        """Whether there is something to do for it."""
        return self.status in LIVE

    @property
    def entered_at(self) -> int:
        """When it took its status; Unix time in seconds."""
        at: int | None = getattr(self, f"{self.status}_at", None)
        return at or self.created_at


class Batches(Records[Batch]):
    """All batches. The process that runs them writes their records; the API writes new ones, and files that cancel.

    Args:
        root: the directory of everything.
        kept_seconds: after which a batch that is over is forgotten, counted from its end.
    """

    def __init__(self, root: Path, kept_seconds: int = 0) -> None:
        super().__init__(root / "batches", Batch)
        self._work = root / "work"
        self._kept_seconds = kept_seconds

    def create(
        self, files: Files, file: File, metadata: Metadata | None = None, output_expires_after: Expiry | None = None
    ) -> Batch:
        """Note a batch for the owner of its file, which may be deleted from now on.

        Raises:
            InvalidInput: there is no room for it and those that have something to do.
            Missing: the file has just been deleted.
            OSError: the disk is full, say; nothing is left.
        """
        files.check_room(RECORD_BYTES * (1 + len(list(self._work.iterdir()))))
        now = int(time.time())
        batch = Batch(
            id=new_id("batch_"),
            owner=file.owner,
            created_at=now,
            expires_at=now + WINDOW_SECONDS,
            input_file_id=file.id,
            request_counts=Counts(),
            metadata=metadata,
            output_expires_after=output_expires_after,
        )
        try:
            self._begin(batch, files, file)
        except (OSError, Missing):
            self.remove(batch.id)
            shutil.rmtree(self.directory_of(batch), ignore_errors=True)
            raise
        return batch

    def cancel(self, batch: Batch) -> None:
        """Have a batch stopped.

        Raises:
            InvalidInput: it is over.
        """
        if not batch.is_live:
            raise InvalidInput(f"{batch.id} is {batch.status}, and cannot be cancelled")
        self._mark(batch).touch()

    def is_cancelled(self, batch: Batch) -> bool:
        """Tell whether the client wants it stopped."""
        return self._mark(batch).exists()

    def show(self, batch: Batch) -> Batch:
        """Return a batch as its client sees it: cancelling before the process that runs it notices."""
        if batch.status in {"validating", "in_progress"} and self.is_cancelled(batch):
            batch.enter("cancelling")
        return batch

    def ending(self, batch: Batch) -> Status | None:
        """Return how a batch ends that is not to go on: cancelled or expired."""
        if batch.status == "finalizing":
            return None
        if self.is_cancelled(batch):
            return "cancelled"
        return "expired" if batch.expires_at < time.time() else None

    def live(self) -> list[Batch]:
        """Return those that have something to do, in the order of their turns: what is to end, then the oldest."""
        found = (self._read(self._path(directory.name)) for directory in self._work.iterdir())
        live = [batch for batch in found if batch and batch.is_live]
        return sorted(live, key=lambda batch: (self.ending(batch) is None, by_age(batch)))

    def close(self, batch: Batch) -> None:
        """Write a batch that is over, and remove what it was made of."""
        self.write(batch)
        self._mark(batch).unlink(missing_ok=True)
        shutil.rmtree(self.directory_of(batch), ignore_errors=True)

    def sweep(self) -> None:
        """Forget what was over long ago, and remove what a process left that was killed."""
        over = set()
        for batch in self.every():
            if batch.is_live:
                self.directory_of(batch).mkdir(exist_ok=True)  # a disk that was repaired may have lost it
                continue
            over.add(batch.id)
            if batch.entered_at + self._kept_seconds < time.time():
                self.remove(batch.id)
        for path in [*self.directory.glob("*.cancel"), *self.directory.glob(".*.tmp"), *self._work.iterdir()]:
            is_left = path.stem in over or not self.exists(path.stem)
            if is_left and is_stale(path):
                path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    def directory_of(self, batch: Batch) -> Path:
        """Return where the parts of a batch are, until it is over."""
        return self._work / batch.id

    def input_of(self, batch: Batch) -> Path:
        """Return the requests of a batch."""
        return self.directory_of(batch) / "input.jsonl"

    def _begin(self, batch: Batch, files: Files, file: File) -> None:
        self.directory_of(batch).mkdir()
        files.link(file, self.input_of(batch))
        for directory in (self.directory_of(batch), self._work):  # first: ``live`` finds a batch by its directory
            disk.sync(directory)
        self.write(batch)

    def _mark(self, batch: Batch) -> Path:
        return self.directory / f"{batch.id}.cancel"
