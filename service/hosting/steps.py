"""When this process came to each step of its start; a file of its worker tells the other processes."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from service.hosting import uwsgi

Step = Literal["began", "imported", "loaded", "ready"]

_seconds: dict[str, float] = {}


def now() -> float:
    """Return the seconds since the machine started, the clock by which the kernel knows the start of a process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def note(step: Step) -> None:
    """Note that this process comes to a step now; ``began`` forgets those of the process that forked it."""
    if step == "began":
        _seconds.clear()
    _seconds[step] = round(now(), 3)
    if file := uwsgi.worker_file("start"):
        with suppress(OSError):  # a full disk: the page has nothing to show, the worker serves
            file.write_text(json.dumps(_seconds | {"pid": os.getpid()}))


def read(run_dir: Path | None, number: int, pid: int) -> dict[str, float]:
    """Return the steps of a worker that were noted by the process ``pid``, in seconds; {} if there are none."""
    if run_dir is None:
        return dict(_seconds)
    try:
        noted: dict[str, float] = json.loads((run_dir / f"start.{number}").read_text())
    except (OSError, ValueError):  # it is being written
        return {}
    return noted if noted.pop("pid") == pid else {}
