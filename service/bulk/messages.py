"""What a run and its processes say to each other."""

from typing import Any, NamedTuple

import msgspec

from service.bulk.shards import Shard


class Job(msgspec.Struct, frozen=True):
    """What all processes of a run are told.

    Args:
        directory: where the parts go.
        prompt: the name of the prompt that is put before texts; None for the model's default.
        dimensions: how many leading components are kept; None for all.
        type: of the components: float32, float16, int8 or binary.
    """

    directory: str
    prompt: str | None = None
    dimensions: int | None = None
    type: str = "float32"


class Place(NamedTuple):
    """Where a process runs.

    Args:
        number: of the process, from 1.
        sharers: how many processes share the cores.
        record: a file in the directory of the parts, which tells the process that takes its place which texts ended it.
    """

    number: int
    sharers: int
    record: str


class Task(msgspec.Struct, frozen=True, array_like=True):
    """A shard, the name of its part, and what its footer says."""

    shard: Shard
    name: str
    metadata: dict[str, Any]


class Ready(NamedTuple):
    """A process has loaded its model."""

    model: str
    revision: str | None
    fingerprint: str


class More(NamedTuple):
    """A process asks for a task; an empty message tells it that there is none."""


class Progress(NamedTuple):
    """Rows were written; ``tokens`` were computed for them, ``padded_tokens`` with padding."""

    rows: int
    tokens: int
    padded_tokens: int


class Done(NamedTuple):
    """A part is finished."""

    shard: int
    rows: int
    failed: int


class Failed(NamedTuple):
    """A process ends for a reason that another one would find too."""

    reason: str
