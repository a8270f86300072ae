"""What the engine needs of the process that it runs in."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


def _leave() -> None:
    """Do nothing."""


class Host(NamedTuple):
    """The process around an engine.

    Args:
        replace: called with a reason when the model hangs; should end this process, so that another takes its place.
        trim: called when memory ran out, or was not needed for a while; should return it to the machine.
        record: a file that survives this process and tells the next one which texts ended it; None for none.
        blames_kills: whether a text that was computed alone when this process was killed, for the second time, is to
            blame; elsewhere operators kill too.
    """

    replace: Callable[[str], object]
    trim: Callable[[], object] = _leave
    record: Path | None = None
    blames_kills: bool = False
