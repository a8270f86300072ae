"""The processes of a server that was started in a session of its own."""

import os
import time
from pathlib import Path


def pids(leader: int) -> list[int]:
    """Return the server's processes; its first one leads the session."""
    everyone = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in everyone if _session(pid) == leader]


def settle(leader: int, seconds: float = 300, quiet: float = 0.3) -> None:
    """Wait until the processes together use less than a tenth of a core for ``quiet`` seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = sum(map(_ticks, pids(leader)))
        time.sleep(quiet)
        if sum(map(_ticks, pids(leader))) - before <= 10 * quiet:
            return


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _ticks(pid: int) -> int:
    """Return the CPU time of a process in hundredths of a second; see proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
