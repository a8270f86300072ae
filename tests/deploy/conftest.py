"""Fixtures: a Debian root, the deployed service, nginx in front of it, and load."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deploy.stage import HeldService, Nginx, hold
from tests.load import TEXTS, Load
from tests.programs import program
from tests.server.processes import free_port


@pytest.fixture(scope="session")
def disk():
    """A directory on a disk: the /tmp of Debian 13 is in memory and cannot have device nodes."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def debian():
    """The root directory of a minimal Debian 12 with Python, to be copied. The processes of pytest-xdist share it."""
    directory = Path("/var/tmp") / f"debian-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    directory.mkdir(exist_ok=True)
    held = os.open(directory, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        with (directory / "lock").open("w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            if not (directory / "debian").exists():
                make_debian(directory / "draft")
                (directory / "draft").rename(directory / "debian")
        yield directory / "debian"
    finally:
        with suppress(BlockingIOError):  # another process has it still
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory)
        os.close(held)


def make_debian(directory):
    include = "--include=python3,python3-venv,python3-dev,ca-certificates"
    command = [program("debootstrap"), "--variant=minbase", include, "bookworm", directory]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.fixture(scope="session")
def expected(reference):
    return reference.encode(TEXTS)


@pytest.fixture
def started():
    """Processes that end with the test."""
    started = []
    yield started
    for process in reversed(started):
        process.kill()


@pytest.fixture
def held(tmp_path):
    (tmp_path / "run-nginx").mkdir()
    with hold(tmp_path / "run-nginx/embeddings.socket") as held:
        yield held


@pytest.fixture
def serve(started, tmp_path, cache, held):
    """Start the service behind the held socket; a test may start it again after it has ended."""

    def serve(*, wait=True, **settings):
        service = HeldService(tmp_path, held, **{"cache_dir": cache} | settings)
        started.append(service)
        return service.wait_until_ready(settings.get("workers", 1)) if wait else service

    return serve


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def nginx(started, tmp_path, port):
    """Start nginx in front; ``nginx(replaced={"65s": "2s"})`` changes its configuration."""

    program("nginx")  # before a test starts the service for nothing

    def nginx(site="embeddings", replaced=None, **options):
        listen = {"listen 8080": f"listen 127.0.0.1:{port}", "    listen [::]:8080 deferred backlog=4096;\n": ""}
        server = Nginx(tmp_path, site=site, replaced=listen | (replaced or {}), **options)
        started.append(server)
        server.wait_for((tmp_path / "run-nginx/nginx.pid").exists)
        return server

    return nginx


@pytest.fixture
def load(port, expected):
    """Send load through nginx: ``with load() as answers``."""
    return lambda **options: Load(port, expected, **options)
