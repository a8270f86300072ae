import os
import shutil
import subprocess

import pytest

from tests.deploy.stage import HeldService, Nginx, hold
from tests.load import TEXTS, Load
from tests.server.processes import free_port

NEEDED = ["nginx", "ip", "openssl", "debootstrap", "systemd-nspawn", "unshare", "nsenter", "chroot", "tar"]


def pytest_collection_modifyitems(items):
    """Skip what this machine cannot do; in continuous integration it has to."""
    missing = [program for program in NEEDED if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    reason = "needs root" if os.geteuid() != 0 else f"needs {', '.join(missing)}" if missing else None
    for item in items:
        if reason and "CI" not in os.environ and {"deploy", "systemd"} & set(item.keywords):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """The root of a Debian 12 with Python and little else."""
    directory = tmp_path_factory.mktemp("debian") / "root"
    include = "--include=python3,python3-venv,python3-dev,ca-certificates"
    command = ["debootstrap", "--variant=minbase", include, "bookworm", directory]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    yield directory
    subprocess.run(["rm", "-rf", directory], check=True)


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
    """Start the service behind the held socket; again after it has ended, if need be."""

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

    def nginx(site="embeddings", replaced=(), **options):
        listen = {"listen 8080": f"listen 127.0.0.1:{port}", "    listen [::]:8080;\n": ""}
        server = Nginx(tmp_path, site=site, replaced=listen | dict(replaced), **options)
        started.append(server)
        server.wait_for((tmp_path / "run-nginx/nginx.pid").exists)
        return server

    return nginx


@pytest.fixture
def load(port, expected):
    """Load on the service through nginx: ``with load() as answers``."""
    return lambda **options: Load(port, expected, **options)
