"""Real servers on loopback, started by a test and ended with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.prefix) / "bin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server in a session of its own, whose log is kept and whose whole group ends with the test."""

    def __init__(self, command, directory, env=None, cwd=ROOT, pass_fds=()):
        self.log_file = directory / f"{type(self).__name__}.log"
        with self.log_file.open("ab") as log:
            self.popen = subprocess.Popen(
                self.wrap(command),
                cwd=cwd,
                env={name: value for name, value in os.environ.items() if not name.startswith("EMBED_")} | (env or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    def wrap(self, command):
        """Return the command that is run for ``command``."""
        return command

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_for(self, condition, seconds=90):
        """Poll until ``condition()`` is true; fail with the log if the server ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.popen.poll() is None, f"the server ended with {self.popen.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"not after {seconds} s:\n{self.log}"
            time.sleep(0.05)

    def exit_code(self, seconds=60):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.log}")

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


class Service(Process):
    """``uwsgi --ini uwsgi.ini`` as it is, on a port of its own."""

    def __init__(self, directory, cwd=ROOT, options=(), ini=ROOT / "uwsgi.ini", pass_fds=(), **settings):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.run_dir = directory / "run"
        env = {"EMBED_HTTP": f"127.0.0.1:{self.port}", "EMBED_RUN_DIR": str(self.run_dir)}
        env |= {f"EMBED_{name.upper()}": str(value) for name, value in settings.items()}
        super().__init__([BIN / "uwsgi", "--ini", ini, *options], directory, env, cwd, pass_fds)

    def stats(self):
        """What uWSGI tells about itself; None before it does."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.run_dir / "stats"))
                return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
        except (OSError, ValueError):
            return None

    def workers(self):
        """The pids of the workers that accept requests."""
        stats = self.stats()
        return (
            {worker["pid"] for worker in stats["workers"] if worker["accepting"] and worker["pid"]} if stats else set()
        )

    def wait_until_ready(self, workers=1):
        self.wait_for(lambda: len(self.workers()) == workers)
        return self

    def command(self, letter):
        (self.run_dir / "fifo").write_text(letter)

    def post(self, texts, route="/v1/embeddings", **members):
        return requests.post(self.url + route, json={"input": texts, **members}, timeout=60)
