"""Ownership and pagination of files and batches."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import msgspec
from flask import current_app, g
from msgspec import Meta

from service.batches.records import Record, show
from service.batches.store import Store
from service.errors import DiskFull, InvalidInput

#: The disk, or the part of it that the service's user may take.
FULL = {errno.ENOSPC, errno.EDQUOT}


class Page(msgspec.Struct):
    """Which part of a list: what comes after this id, at most so many."""

    after: str | None = None
    order: Literal["asc", "desc"] = "desc"
    limit: Annotated[int, Meta(ge=1, le=10_000)] | None = None


def store() -> Store:
    """Return the files and batches of this service."""
    return cast("Store", current_app.extensions["store"])


@contextmanager
def writing() -> Iterator[Store]:
    """Yield the files and batches of this service, to be written.

    Raises:
        DiskFull: the disk is full.
    """
    try:
        yield store()
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFull("the disk of the service is full; nothing was kept, try again later") from None


def owner() -> str:
    """Return the name of this request's API key; "" where none is needed."""
    return g.key.name if "key" in g else ""


def page(found: Sequence[Record], asked: Page, most: int) -> dict[str, Any]:
    """Return a part of a list in OpenAI's envelope.

    Args:
        found: all of it, the newest first.
        asked: which part.
        most: how many unless ``asked`` says it.

    Raises:
        InvalidInput: ``after`` is not in it.
    """
    every = list(found if asked.order == "desc" else found[::-1])
    ids = [each.id for each in every]
    if asked.after is not None and asked.after not in ids:
        raise InvalidInput(f"after: there is no {asked.after[:60]!r} here", "after")
    start = ids.index(asked.after) + 1 if asked.after else 0
    stop = start + (asked.limit or most)
    shown = ids[start:stop]
    return {
        "object": "list",
        "data": [show(each) for each in every[start:stop]],
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
        "has_more": stop < len(ids),
    }
