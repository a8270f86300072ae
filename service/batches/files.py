"""Files that clients uploaded, and those that hold the answers of their batches."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
from msgspec import Meta

from service.batches.records import Records, is_stale, new_id
from service.errors import InvalidInput, Missing

Purpose = Literal["batch", "batch_output"]


class Expiry(msgspec.Struct):
    """When a file is removed: so many seconds after it was created."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=30 * 24 * 3600)]


class FileObject(msgspec.Struct, kw_only=True):
    """A file, as OpenAI shows it; times are Unix times in seconds."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"


class File(FileObject, kw_only=True):
    """A file, and whose it is."""

    owner: str


class Files(Records[File]):
    """All files, and how much they may take.

    Args:
        root: the directory of everything that counts.
        max_bytes: of all of it.
        kept_seconds: after which a file is removed.
    """

    def __init__(self, root: Path, max_bytes: int, kept_seconds: int) -> None:
        super().__init__(root / "files", File)
        self._root = root
        self._max_bytes = max_bytes
        self._kept_seconds = kept_seconds

    def begin(self) -> IO[bytes]:
        """Open a file to be written, which nobody sees before ``keep``."""
        return (self.directory / f".{new_id('')}.tmp").open("w+b")

    def keep(  # noqa: PLR0913  # what is known of a file
        self,
        file: IO[bytes],
        filename: str,
        purpose: Purpose,
        owner: str,
        *,
        name: str | None = None,
        expiry: Expiry | None = None,
    ) -> File:
        """Close a file that was begun, and let its owner see it, at most for as long as files are kept.

        Raises:
            InvalidInput: there is no room for it.
            OSError: the disk is full, say; nothing is left once it is dropped.
        """
        with file:
            file.flush()
            os.fsync(file.fileno())
        aside, now = Path(file.name), int(time.time())
        if purpose == "batch":
            self.check_room()
        kept = File(
            id=name or new_id("file-"),
            owner=owner,
            created_at=now,
            bytes=aside.stat().st_size,
            expires_at=now + min(self._kept_seconds, expiry.seconds if expiry else self._kept_seconds),
            filename=filename,
            purpose=purpose,
        )
        try:
            aside.rename(self.content(kept))
            self.write(kept)
        except OSError:
            self.delete(kept)
            raise
        return kept

    def drop(self, file: IO[bytes]) -> None:
        """Close a file that was begun, and remove it unless it was kept."""
        with suppress(OSError):  # what it still holds does not fit on the disk
            file.close()
        Path(file.name).unlink(missing_ok=True)

    def content(self, file: File) -> Path:
        """Return where the bytes of a file are."""
        return self.directory / f"{file.id}.jsonl"

    def open(self, file: File) -> IO[bytes]:
        """Open the bytes of a file to be read, also when it is deleted meanwhile.

        Raises:
            Missing: it is deleted already.
        """
        with _reading(file):
            return self.content(file).open("rb")

    def link(self, file: File, path: Path) -> None:
        """Give the bytes of a file a second name, which it keeps when it is deleted.

        Raises:
            Missing: it is deleted already.
        """
        with _reading(file):
            os.link(self.content(file), path)

    def delete(self, file: File) -> None:
        """Remove a file; a batch that reads it keeps its own link."""
        self.remove(file.id)
        self.content(file).unlink(missing_ok=True)

    def room(self) -> int:
        """Return how many bytes may still be written; less than 0 if there are too many already."""
        sizes: dict[int, int] = {}  # by inode: of a file with two names once
        for directory, _, names in os.walk(self._root):
            for name in names:
                with suppress(FileNotFoundError):
                    stat = Path(directory, name).stat()
                    sizes[stat.st_ino] = stat.st_size
        return self._max_bytes - sum(sizes.values())

    def check_room(self, size: int = 0) -> None:
        """Refuse what takes this many bytes if there is no room for it.

        Raises:
            InvalidInput: there is none.
        """
        if self.room() < size:
            raise InvalidInput(
                f"there is no room: files and batches may take {self._max_bytes} bytes in all (EMBED_BATCHES_BYTES); "
                "delete files that you need no more, or wait until batches are over"
            )

    def sweep(self) -> None:
        """Remove what has expired, and what a process left that was killed."""
        now = time.time()
        for file in self.every():
            if file.expires_at < now:
                self.delete(file)
        for path in self.directory.iterdir():
            is_left = path.suffix == ".tmp" or (path.suffix == ".jsonl" and not self.exists(path.stem))
            if is_left and is_stale(path):
                path.unlink(missing_ok=True)


@contextmanager
def _reading(file: File) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Missing(f"there is no {file.id!r} here", "id") from None
