"""Fixtures: an app with a fake model, and the real service under uWSGI."""

import logging
import os
import sys
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings

from service.app import create_app
from service.models import export, sources
from service.models.artifact import Artifact
from service.settings import Settings
from tests import programs
from tests.deploy import stage
from tests.fakes import FakeModel
from tests.server.processes import Service

sys.addaudithook(programs.watch)

#: Idle threads of torch sleep. They spin otherwise, and take the cores that the other process and the servers need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

#: The same examples in each run; `make fuzz` takes the long profile, whose examples are new each time.
settings.register_profile(
    "short",
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("short"), max_examples=1000, derandomize=False)
settings.load_profile("short")


#: What takes minutes, then what takes seconds.
SLOW = ({"systemd"}, {"deploy", "server", "model", "launchers"})


def pytest_collection_modifyitems(items):
    """Begin with the slow files in a process of pytest-xdist: at the end, the others have little to wait for."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        marks = defaultdict(set)
        for item in items:
            marks[item.path] |= {mark.name for mark in item.iter_markers()}
        items.sort(key=lambda item: [not marks[item.path] & slow for slow in SLOW])


@pytest.fixture(autouse=True)
def whole_records(monkeypatch):
    """A command that a test runs in this process lets the records of the log lose their caller and their thread."""
    for name in ("_srcfile", "logThreads", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def app(model):
    app = create_app(Settings(max_body_bytes=20_000), model)
    yield app
    app.extensions["engines"]().close()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """The directory of compiled models, with the default one: a server that a test ends must not be compiling it.

    It is the same for all processes of pytest-xdist, whose own directories are in that of the run.
    """
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"
    cache.mkdir(exist_ok=True)
    export.ensure(Artifact(sources.find("all-MiniLM-L6-v2"), cache))
    return cache


@pytest.fixture
def start(tmp_path, cache):
    """Start a service that the test may stop: ``start(workers=2)``."""
    started = []

    def start(**settings):
        started.append(Service(tmp_path, **{"cache_dir": cache} | settings))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        sys.stdout.write(process.log)  # pytest shows it if the test failed


@pytest.fixture
def start_holding(start, tmp_path):
    """Start a service that computes ``stage.held_text(number)`` once there is a file of this number in ``tmp_path``."""
    tree = tmp_path / "tree"

    def start_holding(**settings):
        if not tree.exists():
            tree.mkdir()
            stage.hold_texts(stage.copy_tree(tree), tmp_path)
        return start(cwd=tree, ini=tree / "uwsgi.ini", batch_timeout=600, **settings)

    return start_holding


@pytest.fixture(scope="session")
def service(tmp_path_factory, cache):
    """A service with two workers, shared by many tests: none may stop it."""
    service = Service(tmp_path_factory.mktemp("service"), cache_dir=cache, workers=2)
    yield service.wait_until_ready(2)
    service.kill()


@pytest.fixture(scope="session")
def reference():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(sources.find("all-MiniLM-L6-v2").directory), device="cpu")
