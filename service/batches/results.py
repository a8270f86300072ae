"""The parts of a batch become its output and its errors, in the order of its requests."""

from pathlib import Path
from typing import IO

import orjson

from service.batches.batch import Batch, Batches, Counts
from service.batches.files import Files
from service.bulk import parts, requests
from service.bulk.rows import open_stream
from service.errors import BulkFailed

#: Why a request has no answer, by the status of its batch; the codes are OpenAI's.
UNANSWERED = {
    "expired": ("batch_expired", "the batch expired before this request was answered"),
    "cancelled": ("batch_cancelled", "the batch was cancelled before this request was answered"),
    "completed": ("server_error", "the service failed on this request; try it alone"),
}

#: What the line of a part begins with; the number of its request follows.
BEGIN = b'{"id":"batch_req_'

#: What the ids of its files end in: made again after a crash, they are the same files.
ENDS = {"output": "a", "error": "b"}


def publish(files: Files, batches: Batches, batch: Batch, status: str) -> None:
    """Give a batch that ends with this status its files, and count their lines.

    Raises:
        OSError: they cannot be written.
    """
    outcome = Outcome(files.begin(), files.begin())
    source = batches.input_of(batch)
    try:
        outcome.copy(batches.directory_of(batch))
        outcome.explain(source, *UNANSWERED[status])
        counts = batch.request_counts = outcome.counts
        for kind, file, lines in (
            ("output", outcome.output, counts.completed),
            ("error", outcome.errors, counts.failed),
        ):
            if lines:
                name = f"file-{batch.id[6:-1]}{ENDS[kind]}"
                files.keep(
                    file,
                    f"{batch.id}_{kind}.jsonl",
                    "batch_output",
                    batch.owner,
                    name=name,
                    expiry=batch.output_expires_after,
                )
                setattr(batch, f"{kind}_file_id", name)
    finally:
        for file in (outcome.output, outcome.errors):
            files.drop(file)


class Outcome:
    """Two open files, and how many lines they have."""

    def __init__(self, output: IO[bytes], errors: IO[bytes]) -> None:
        self.output = output
        self.errors = errors
        self.counts = Counts()
        self._answered: set[int] = set()

    def copy(self, directory: Path) -> None:
        """Divide the lines of the parts."""
        for _, path in sorted(parts.find(directory).items()):
            with path.open("rb") as lines:
                for line in lines:
                    self._answered.add(int(line[len(BEGIN) : line.index(b'"', len(BEGIN))]))
                    if line.endswith(parts.DONE):
                        self.output.write(line)
                        self._count(completed=1)
                    else:
                        self.errors.write(line)
                        self._count(failed=1)

    def explain(self, source: Path, code: str, message: str) -> None:
        """Add an error for each request that has no answer."""
        try:
            stream = open_stream(str(source))
            with stream.raw:
                for number, row in enumerate(requests.read(stream)):
                    if number not in self._answered:
                        error = {"code": code, "message": message}
                        told = {"id": f"batch_req_{number}", "custom_id": row.values[0]["custom_id"]}
                        entry = told | {"response": None, "error": error}
                        self.errors.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
                        self._count(failed=1)
        except BulkFailed:  # the file is gone
            return

    def _count(self, completed: int = 0, failed: int = 0) -> None:
        self.counts.total += 1
        self.counts.completed += completed
        self.counts.failed += failed
