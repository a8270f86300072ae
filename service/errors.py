"""What can go wrong, named once.

    ServiceError
    ├── StartError        the service cannot start; raised before the first request
    │   ├── BadSetting        an EMBED_* variable is unknown or has a value that cannot be used
    │   └── ModelUnusable     the model is missing, unreadable or not a sentence-transformers model
    ├── CommandFailed     a command to a running service was not carried out
    │   └── MasterBusy        the master answered late or in part; it may answer the next time
    ├── BulkFailed        a corpus cannot be embedded as it was asked for
    │   └── BulkChanged       what is finished was made with another model or option
    ├── BatchFailed       a client's batch cannot be brought to its end
    └── RequestError      one request cannot be answered; the next one may
        ├── InvalidInput      the request cannot be served as written
        │   ├── Malformed         the body is not JSON
        │   ├── Empty             the request holds nothing to work on
        │   └── TooLong           a text is longer than the model reads, and the request forbids to cut it
        ├── BodyLate          the body took too long to arrive
        ├── UnknownModel      the request asks about a model that is not served here
        ├── Missing           the request asks for a file or a batch that is not here
        ├── WrongModel        the model served here gives something else than the request asks for
        ├── OtherModel        the request wants vectors of a model whose fingerprint is another one
        ├── InvalidKey        the request has no API key, or one that is not known
        ├── KeyExhausted      the API key has used its tokens; it may be used later
        ├── ClientGone        the client closed its connection before the answer
        ├── DeadlinePassed    the request waited longer than it may
        ├── DiskFull          the disk has no room for what the request wants kept
        ├── Overloaded        the request would wait too long, and is refused before it does
        ├── ForkedAfterLoad   this process was forked with a loaded model, which does not survive that
        └── ModelFailed       the model raised; the request may have been fine

Nothing here knows HTTP: each dialect maps the request errors to its own status and body.
"""

import re

#: In messages of torch, OpenVINO and the kernel, whose exceptions are plain RuntimeErrors.
RAN_OUT = re.compile(
    "(out of|not enough|(can.?t|cannot|could not|failed to) allocate).*memory|bad_alloc|bad allocation"
    "|no space left|too many open files|temporarily unavailable|start new thread",
    re.IGNORECASE,
)


class ServiceError(Exception):
    """The root: the message is written for the person who has to act on it."""


class StartError(ServiceError):
    """The service cannot start as it is set up."""


class BadSetting(StartError):
    """An ``EMBED_*`` variable is unknown or has a value that cannot be used."""


class ModelUnusable(StartError):
    """The model is missing, unreadable or not a sentence-transformers model."""


class CommandFailed(ServiceError):
    """A command to a running service was not carried out."""


class MasterBusy(CommandFailed):
    """uWSGI's master did not answer in time or in full; it may the next time."""


class BulkFailed(ServiceError):
    """A corpus cannot be embedded as it was asked for; what is finished stays."""


class BulkChanged(BulkFailed):
    """What is finished of a corpus was made with another model or other options."""


class BatchFailed(ServiceError):
    """A client's batch cannot be brought to its end; the client reads why."""


class RequestError(ServiceError):
    """One request cannot be answered."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidInput(RequestError):
    """The request cannot be served as written.

    ``field`` names the member to mend; of a list, ``index`` is the position of the item in the caller's list.
    """

    def __init__(self, message: str, field: str | None = None, index: int | None = None) -> None:
        super().__init__(message, field)
        self.index = index


class Malformed(InvalidInput):
    """The body of the request is not JSON."""


class Empty(InvalidInput):
    """The request holds nothing to work on, such as an empty list."""


class TooLong(InvalidInput):
    """A text is longer than the model reads, and the request forbids to cut it."""


class BodyLate(RequestError):
    """The body of the request took too long to arrive."""


class UnknownModel(RequestError):
    """The request asks about a model that is not served here."""


class Missing(RequestError):
    """The request asks for a file or a batch that is not here."""


class WrongModel(RequestError):
    """The model served here gives something else than the request asks for."""


class OtherModel(RequestError):
    """The request is pinned to a model whose fingerprint is not that of the model served here."""


class InvalidKey(RequestError):
    """The request has no API key, or one that is not known here."""


class KeyExhausted(RequestError):
    """The API key of the request has used its tokens; ``retry_after`` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ClientGone(RequestError):
    """The client closed its connection before the answer was ready."""


class DeadlinePassed(RequestError):
    """The request waited longer than it was allowed to."""


class DiskFull(RequestError):
    """The disk has no room for what the request wants kept."""


class Overloaded(RequestError):
    """The request was refused because too much waits; ``retry_after`` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ForkedAfterLoad(RequestError):
    """This process was forked with a loaded model, which does not survive that."""


class ModelFailed(RequestError):
    """The model raised on the batch that held this request."""


def split_complaint(complaint: str) -> tuple[str, str]:
    """Split msgspec's ``Expected `str` - at `$.input[1]``` into ``input[1]`` and the problem in lower case."""
    # A value in the problem may look like a place: only the last one is.
    match = re.fullmatch(r"(.*?)(?: - at `\$\.?([^`]*)`)?", complaint, re.DOTALL)
    assert match is not None
    problem, place = match.groups("")
    return place, problem[0].lower() + problem[1:]


def first_line(error: BaseException) -> str:
    """Return an error of a library as one line: its class, and its message up to the first line that says something."""
    said: list[str] = []
    for line in filter(None, map(str.strip, str(error).splitlines())):
        said.append(line)
        if not line.endswith(":"):  # else it only announces the next
            break
    return ": ".join([type(error).__name__, *([" ".join(said)] if said else [])])


def has_run_out(error: BaseException) -> bool:
    """Tell whether memory, threads, files or the disk ran out, which says nothing of the model and may pass."""
    return isinstance(error, MemoryError) or bool(RAN_OUT.search(str(error)))
