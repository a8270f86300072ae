"""What the kernel knows of a process: when it started, how much memory it takes, what it has loaded."""

import os
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")

#: Files of a process that has imported the app, that has loaded a model, and that uses a GPU.
APP = ("_multiarray_umath",)
MODEL = ("libopenvino_intel", "libtorch_cpu")
DEVICE = ("/dev/nvidia",)


class Held(NamedTuple):
    """What a process holds that its children would inherit."""

    app: bool
    model: bool
    device: bool


def runs(pid: int) -> bool:
    """Tell whether a process has not ended."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def started(pid: int) -> float | None:
    """Return when a process was forked, in seconds since the machine started; None if it has ended."""
    fields = _stat(pid)
    return int(fields[19]) / TICKS if fields else None


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, shared files included; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError):  # it has just ended
        return 0


def held(pid: int) -> Held | None:
    """Return what a process has mapped into its memory; None if it has ended, or belongs to another user."""
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except OSError:
        return None
    return Held(*(any(name in mapped for name in names) for names in (APP, MODEL, DEVICE)))


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, the state first; none if the process has ended. See proc_pid_stat(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
