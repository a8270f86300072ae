"""The service under test: uWSGI's HTTP port, nginx with the files of deploy/, and the monitor."""

import os
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from bench.torture.clients import Address
from launchers.process import BIN, ROOT, Process, free_port

NGINX = """
daemon off; pid {run}/nginx.pid; error_log {run}/nginx.log; worker_processes auto; events {{ worker_connections 768; }}
http {{
    client_body_temp_path {run}/body; uwsgi_temp_path {run}/uwsgi; proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi; scgi_temp_path {run}/scgi;
    include conf.d/*.conf;
    server {{ listen 127.0.0.1:{port} deferred backlog=4096; include snippets/embeddings.conf; }}
}}
"""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

READY_SECONDS = 180


class Stand:
    """A running service with nginx in front of its Unix socket; it serves HTTP on a port of its own too.

    Args:
        directory: where its files go.
        tree: the checkout that it runs.
        env: further ``EMBED_*`` variables.
    """

    def __init__(self, directory: Path, tree: Path = ROOT, **env: str) -> None:
        self.http, self.nginx, self.monitor = (_address(free_port()) for _ in range(3))
        socket = directory / "socket"
        variables = {"EMBED_HTTP": "{}:{}".format(*self.http), "EMBED_MONITOR": "{}:{}".format(*self.monitor)}
        variables |= {"EMBED_RUN_DIR": str(directory / "run"), "EMBED_CACHE_ITEMS": "0"}
        uwsgi = [str(BIN / "uwsgi"), "--ini", str(tree / "uwsgi.ini"), "--socket", str(socket), "--chmod-socket=666"]
        self.service = Process(uwsgi, directory / "log", tree, os.environ | variables | env)
        self._proxy = Process(["nginx", "-c", _configure(directory, self.nginx[1], socket)], directory / "proxy-log")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + READY_SECONDS
        for address in (self.http, self.nginx):
            while not _answers(address):
                if time.monotonic() > deadline or self.service.popen.poll() is not None:
                    log = self.service.log + self._proxy.log
                    self.__exit__()
                    raise TimeoutError(log)
                time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.kill()
        self.service.kill()

    def replaced_workers(self) -> int:
        """Return how many workers ended and were replaced."""
        return self.service.log.count("Respawned uWSGI worker")

    def memory(self) -> int:
        """Return the resident memory of the largest process in MB: a worker."""
        return max(map(_resident_bytes, self.service.pids())) // 2**20

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Note the memory of the worker, in MB, every fifth of a second inside the context."""
        noted, ended = [self.memory()], threading.Event()

        def note() -> None:
            while not ended.wait(0.2):
                noted.append(self.memory())

        thread = threading.Thread(target=note)
        thread.start()
        try:
            yield noted
        finally:
            ended.set()
            thread.join()


def _configure(directory: Path, port: int, socket: Path) -> Path:
    """Put the files of deploy/nginx together as deploy/install does, and return the main one."""
    etc, ours = directory / "nginx", ROOT / "deploy" / "nginx"
    shutil.copytree(ours / "conf.d", etc / "conf.d")
    shutil.copytree(ours / "snippets", etc / "snippets")
    shutil.copy(ours / "pass/uwsgi.conf", etc / "snippets/embeddings-pass.conf")
    shutil.copy(ours / "upstreams/one-machine.conf", etc / "conf.d/embeddings-upstream.conf")
    for path in etc.rglob("*.conf"):
        moved = path.read_text().replace("/var/log/nginx", str(directory))
        path.write_text(moved.replace("/run/embeddings.socket", str(socket)))
    main = etc / "nginx.conf"
    main.write_text(NGINX.format(run=directory, port=port))
    return main


def _address(port: int) -> Address:
    return "127.0.0.1", port


def _answers(address: Address) -> bool:
    with suppress(OSError), urllib.request.urlopen("http://{}:{}/readyz".format(*address), timeout=60) as answer:
        return bool(answer.status == 200)
    return False


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0
