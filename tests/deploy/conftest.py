"""Fixtures: a Debian root, the deployed service, nginx in front of it, and load."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deploy.debian import pack
from tests.deploy.stage import HeldService, Nginx, hold
from tests.load import TEXTS, Load
from tests.programs import program
from tests.server.processes import free_port

#: Sparse: the tests fill 10 GB of it.
DISK_BYTES = 40 << 30


@pytest.fixture(scope="session")
def disk():
    """An empty file system, or a directory where there are no loop devices.

    It goes with one file: a disk mounted with ``discard`` takes 0.3 ms and more for each file that is removed from it.
    It is not in /tmp, which Debian 13 keeps in memory.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        image, mounted = Path(directory, "image"), Path(directory, "disk")
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run([program("mkfs.ext4"), "-q", "-O", "^has_journal", image], check=True)
        mount = [program("mount"), "-o", "loop,noatime,nobarrier", image, mounted]
        done = subprocess.run(mount, capture_output=True, check=False)
        yield mounted
        if done.returncode == 0:
            subprocess.run([program("umount"), "--lazy", mounted], check=True)


@pytest.fixture(scope="session")
def debian(disk):
    """The archive of a minimal Debian. The processes of pytest-xdist share it."""
    directory = Path("/var/tmp") / f"debian-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    archive = directory / "debian.tar"
    directory.mkdir(exist_ok=True)
    held = os.open(directory, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        with (directory / "lock").open("w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            if not archive.exists():
                pack(archive, disk / "debian")
        yield archive
    finally:
        with suppress(BlockingIOError):  # another process has it still
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory)
        os.close(held)


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
