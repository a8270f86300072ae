"""A running contender: its address, its memory, and how fast it answers."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from bench import load
from bench.load import Measurement
from bench.texts import Workload
from launchers import process
from launchers.process import ROOT, Process


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory that every user can read, and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        Path(name).chmod(0o755)  # under root, nginx's workers run as another user
        yield Path(name)


class Contender:
    """A server and its proxies.

    Args:
        name: what the tables call it.
        commands: the server, then its proxies.
        port: where a client connects on 127.0.0.1.
        run: a directory for its files.
        path: of the route.
        model: what a request calls the model.
        env: added to the environment.
        cwd: where the commands run.
        base64: whether it answers in base64.
        close: whether a client must open a connection for each request.
    """

    def __init__(
        self,
        name: str,
        commands: list[list[str]],
        port: int,
        run: Path,
        *,
        path: str = "/v1/embeddings",
        model: str = "m",
        env: Mapping[str, str] = MappingProxyType({}),
        cwd: Path = ROOT,
        base64: bool = False,
        close: bool = False,
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.path = path
        self.model = model
        self.base64 = base64
        self._close = close
        started = time.monotonic()
        self._processes = [Process(command, run / "log", cwd, os.environ | env) for command in commands]
        try:
            self._wait_until_ready(run)
        except BaseException:
            self.__exit__()
            raise
        self.seconds_to_ready = time.monotonic() - started

    def measure(self, workload: Workload, seconds: float, seed: int) -> Measurement:
        """Run a workload, then wait until the server is idle: it may still compute requests that wrk dropped."""
        measured = load.run(
            self.url, self.path, self.model, workload, seconds * workload.longer, seed, close=self._close
        )
        self._processes[0].settle()
        return measured

    def memory(self) -> dict[str, int]:
        """Return RSS, PSS and anonymous memory of the server in MB, without its proxies."""
        return self._processes[0].memory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._processes:
            each.stop()

    def _wait_until_ready(self, run: Path) -> None:
        request = urllib.request.Request(
            self.url + self.path,
            load.body(["warm"], self.model, "float").encode(),
            {"Content-Type": "application/json"},
        )
        deadline = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError):
                (run / "socket").chmod(0o666)  # under root, nginx's workers run as another user
            try:
                urllib.request.urlopen(request, timeout=60).read()
            except OSError:
                assert time.monotonic() < deadline, (run / "log").read_text()
                assert self._processes[0].popen.poll() is None, (run / "log").read_text()
                time.sleep(0.02)
            else:
                return


class InProcess:
    """A contender without HTTP, which runs ``bench.inprocess``."""

    base64 = True

    def __init__(self, name: str, kind: str, **env: str) -> None:
        self.name = name
        started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.inprocess", kind],
            cwd=ROOT,
            env=os.environ | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        self.seconds_to_ready = time.monotonic() - started

    def measure(self, workload: Workload, seconds: float, seed: int) -> Measurement:
        """Run the texts of a workload in a closed loop; ignore its pause."""
        del seed
        assert self._process.stdin
        assert self._process.stdout
        command = {"texts": workload.texts, "clients": workload.clients, "seconds": seconds * workload.longer}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        rate, p50, p95, p99 = json.loads(self._process.stdout.readline())
        return Measurement(rate, rate * len(workload.texts[0]), p50, p95, p99, errors=0)

    def memory(self) -> dict[str, int]:
        """Return RSS, PSS and anonymous memory of the process in MB."""
        return process.memory(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
