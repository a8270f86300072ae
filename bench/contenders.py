"""The servers that the benchmark compares: command, address and memory of each."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from bench import load
from bench.load import Measurement
from bench.texts import Workload
from launchers import process
from launchers.process import BIN, ROOT, Process, free_port

#: This service as deploy/ runs it.
BEHIND_NGINX = "this service, nginx and socket"

INFINITY = ROOT / ".venv-infinity" / "bin" / "infinity_emb"

NGINX = """
daemon off; pid {run}/nginx.pid; error_log {run}/nginx.log; worker_processes 1; events {{ worker_connections 2048; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 64m; client_body_buffer_size 1m;
    client_body_temp_path {run}/body; uwsgi_temp_path {run}/uwsgi; proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi; scgi_temp_path {run}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            include /etc/nginx/uwsgi_params; uwsgi_pass unix:{run}/socket;
            uwsgi_buffers 64 16k; uwsgi_read_timeout 300s;
        }}
    }}
}}
"""


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory that every user can read, and delete it afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        Path(name).chmod(0o755)  # under root, nginx's workers run as another user
        yield Path(name)


class Contender:
    """A server and its proxies, which ``commands`` start in this order; ``close`` if it has no keep-alive."""

    def __init__(
        self,
        name: str,
        commands: list[list[str]],
        port: int,
        path: str,
        run: Path,
        env: dict[str, str],
        *,
        base64: bool = False,
        close: bool = False,
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.path = path
        self.base64 = base64
        self._close = close
        started = time.monotonic()
        self._processes = [Process(command, run / "log", env=os.environ | env) for command in commands]
        try:
            self._wait_until_ready(run)
        except BaseException:
            self.__exit__()
            raise
        self.seconds_to_ready = time.monotonic() - started

    def measure(self, workload: Workload, seconds: float, seed: int) -> Measurement:
        """Run a workload, then wait until the server is idle: it may still compute requests that wrk dropped."""
        measured = load.run(self.url, self.path, "m", workload, seconds * workload.longer, seed, close=self._close)
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
            self.url + self.path, load.body(["warm"], "m", "float").encode(), {"Content-Type": "application/json"}
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


def start(name: str, model: str, run: Path, **env: str) -> Contender | InProcess:
    """Start a contender of ``NAMES`` with the model in the directory ``model``; keep its files in ``run``."""
    run.mkdir(parents=True)
    run.chmod(0o755)
    port, front = free_port(), free_port()
    ours = {"EMBED_RUN_DIR": str(run / "run"), "EMBED_MODEL": model, "EMBED_CACHE_ITEMS": "0"} | env
    uwsgi = [str(BIN / "uwsgi"), "--ini", str(ROOT / "uwsgi.ini")]
    notes = {"BENCH_MODEL": model, "BENCH_FRAMEWORK": "flask"}
    address = f"127.0.0.1:{port}"
    if name == BEHIND_NGINX:
        (run / "nginx.conf").write_text(NGINX.format(run=run, port=front))
        nginx = ["nginx", "-c", str(run / "nginx.conf")]
        return Contender(
            name,
            [uwsgi, nginx],
            front,
            "/v1/embeddings",
            run,
            ours | {"EMBED_SOCKET": str(run / "socket")},
            base64=True,
        )
    if name == "this service, http":
        return Contender(name, [uwsgi], port, "/v1/embeddings", run, ours | {"EMBED_HTTP": address}, base64=True)
    if name == "notes' app, gunicorn -w 1":
        command = [str(BIN / "gunicorn"), "-w", "1", "-t", "120", "-b", address, "bench.notes_app:app"]
        return Contender(name, [command], port, "/embed", run, notes)
    if name == "notes' app, uwsgi -p 1":
        command = [
            str(BIN / "uwsgi"),
            "--http",
            address,
            "-p",
            "1",
            "-w",
            "bench.notes_app:app",
            "--enable-threads",
            "-L",
        ]
        return Contender(name, [command], port, "/embed", run, notes, close=True)
    if name == "FastAPI twin, uvicorn --workers 2":
        command = [
            str(BIN / "uvicorn"),
            "--workers",
            "2",
            "--port",
            str(port),
            "--no-access-log",
            "bench.notes_app:app",
        ]
        return Contender(name, [command], port, "/embed", run, notes | {"BENCH_FRAMEWORK": "fastapi"})
    if name.startswith("Infinity"):
        dtype = name.rsplit(maxsplit=1)[-1]
        options = ["--engine", "torch", "--dtype", dtype, "--device", "cpu", "--served-model-name", "m"]
        command = [str(INFINITY), "v2", "--model-id", model, "--host", "127.0.0.1", "--port", str(port), *options]
        quiet = {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1"}
        return Contender(name, [command], port, "/embeddings", run, quiet, base64=True)
    if name == "encode loop, no HTTP":
        return InProcess(name, "encode", BENCH_MODEL=model)
    assert name == "this engine, no HTTP", name
    return InProcess(name, "engine", EMBED_MODEL=model)


NAMES = [
    BEHIND_NGINX,
    "this service, http",
    "notes' app, gunicorn -w 1",
    "notes' app, uwsgi -p 1",
    "FastAPI twin, uvicorn --workers 2",
    "Infinity torch float32",
    "Infinity torch bfloat16",
    "encode loop, no HTTP",
    "this engine, no HTTP",
]
