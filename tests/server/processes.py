"""Real servers on loopback that end with the test."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from launchers import process
from launchers.process import BIN, ROOT, free_port
from service.errors import CommandFailed, MasterBusy
from service.hosting.master import Master

#: A client that the machine holds up is waited for, and a worker that does not hear a stop is not killed before
#: ``exit_code`` has given up. An option that a test gives comes later and counts.
PATIENCE = ("--socket-timeout", "120", "--worker-reload-mercy", "600", "--mule-reload-mercy", "600")

#: A master or monitor that has not answered by then does not answer.
ANSWER_SECONDS = 60


class Process(process.Process):
    """A server; when a wait fails, the test fails with the server's log."""

    def __init__(
        self,
        command: Sequence[str | Path],
        directory: Path,
        env: dict[str, str] | None = None,
        cwd: Path = ROOT,
        pass_fds: Sequence[int] = (),
    ) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("EMBED_")}
        super().__init__(
            self.wrap(command), directory / f"{type(self).__name__}.log", cwd, ours | (env or {}), pass_fds
        )

    def wrap(self, command: Sequence[str | Path]) -> Sequence[str | Path]:
        """Return the command line that runs ``command``; a subclass may add a prefix."""
        return command

    def wait_for(self, condition: Callable[[], object], seconds: float = 300) -> None:
        """Poll until ``condition()`` is true; fail if the server ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.popen.poll() is None, f"the server ended with {self.popen.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"not after {seconds} s:\n{self.log}"
            time.sleep(0.05)

    def wait_until_gone(self, seconds: float = 300) -> None:
        """Wait until every process of a server whose first one has ended has ended too."""
        deadline = time.monotonic() + seconds
        while self.pids():
            assert time.monotonic() < deadline, f"{self.pids()} still run after {seconds} s:\n{self.log}"
            time.sleep(0.05)

    def exit_code(self, seconds: float = 300) -> int:
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.log}")


class Service(Process):
    """``uwsgi --ini uwsgi.ini`` on a free port; ``settings`` become EMBED_* variables.

    It keeps no results unless a test asks for that: equal texts are to load it.
    """

    def __init__(
        self,
        directory: Path,
        cwd: Path = ROOT,
        options: Sequence[str] = (),
        ini: Path = ROOT / "uwsgi.ini",
        pass_fds: Sequence[int] = (),
        **settings: object,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.run_dir = directory / "run"
        env = {"EMBED_HTTP": f"127.0.0.1:{self.port}", "EMBED_RUN_DIR": str(self.run_dir), "EMBED_CACHE_ITEMS": "0"}
        env |= {f"EMBED_{name.upper()}": str(value) for name, value in settings.items()}
        super().__init__([BIN / "uwsgi", "--ini", ini, *PATIENCE, *options], directory, env, cwd, pass_fds)

    def stats(self) -> dict[str, Any]:
        """Return the statistics of uWSGI; before and after it serves them, an empty list of workers."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            try:
                stats: dict[str, Any] = json.loads(Master(self.run_dir).read())
            except (MasterBusy, ValueError):  # it answers late, or it stops
                time.sleep(0.05)
            except CommandFailed:
                break
            else:
                return stats
        return {"workers": []}

    def workers(self) -> set[int]:
        """Return the pids of the workers that accept requests."""
        return {worker["pid"] for worker in self.stats()["workers"] if worker["accepting"] and worker["pid"]}

    def wait_until_ready(self, workers: int = 1) -> Self:
        self.wait_for(lambda: len(self.workers()) == workers)
        return self

    def command(self, letter: str) -> None:
        (self.run_dir / "fifo").write_text(letter)

    def ask_monitor(self, path: str) -> tuple[int, str]:
        """Return the monitor's status and body; the status 0 if nobody listens."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            with closing(http.client.HTTPConnection("monitor")) as connection:
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.settimeout(ANSWER_SECONDS)
                try:
                    connection.sock.connect(str(self.run_dir / "monitor"))
                except OSError:
                    break
                with suppress(OSError, http.client.HTTPException):  # it cut off a client that was held up
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    return answer.status, answer.read().decode()
        return 0, ""

    def metric(self, series: str) -> float:
        """Return the value of a series as the monitor shows it; 0 before there is one."""
        values = re.findall(rf"^{re.escape(series)} (\S+)$", self.ask_monitor("/metrics")[1], re.MULTILINE)
        return float(values[0]) if values else 0.0

    def post(self, texts: str | list[str], route: str = "/v1/embeddings", **members: Any) -> requests.Response:
        return requests.post(self.url + route, json={"input": texts, **members}, timeout=300)
