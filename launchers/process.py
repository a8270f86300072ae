"""A server in its own session, which makes all of its processes easy to find, measure and end."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.prefix) / "bin"

#: /proc counts CPU time in these.
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


#: The kernel gives none of these to a connection or to who asks for any port: Linux takes 32768 to 60999 for that.
PORTS = range(20_000, 32_000)

#: Each process begins elsewhere.
_next = itertools.count(os.getpid() * 997)


def free_port() -> int:
    """Return a free port on 127.0.0.1, which nobody is likely to take before a server that starts slowly does."""
    while True:
        port = PORTS[next(_next) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """A running command whose output is appended to ``log_file``; an ``env`` of None inherits ours."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log_file: Path,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log_file = log_file
        with log_file.open("ab") as log:
            self.popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def log(self) -> str:
        """Return the output so far."""
        return self.log_file.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Return the processes of the session."""
        running = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in running if _session(pid) == self.popen.pid]

    def memory(self) -> dict[str, int]:
        """Return the sum of RSS, PSS and anonymous memory over the session, in MB."""
        return _memory(self.pids())

    def settle(self, seconds: float = 300, quiet: float = 0.3) -> None:
        """Wait until the session uses less than a tenth of a core during ``quiet`` seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = sum(map(_cpu_seconds, self.pids()))
            time.sleep(quiet)
            if sum(map(_cpu_seconds, self.pids())) - before <= quiet / 10:
                return

    def stop(self, seconds: float = 15) -> None:
        """Send SIGTERM to the process group, and SIGKILL to the rest of the session after ``seconds``."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to every process of the session."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()


def memory(pid: int) -> dict[str, int]:
    """Return RSS, PSS and anonymous memory of one process in MB."""
    return _memory([pid])


def _memory(pids: list[int]) -> dict[str, int]:
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    kilobytes = {
        key: [int(number) for rollup in rollups for number in re.findall(rf"^{key}:\s+(\d+)", rollup, re.MULTILINE)]
        for key in ("Rss", "Pss", "Anonymous")
    }
    return {key: sum(numbers) // 1024 for key, numbers in kilobytes.items()}


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    # proc_pid_stat(5): utime and stime, counted from the state.
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
