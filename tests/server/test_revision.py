"""One service serves one commit of a model from the Hub, until somebody restarts it."""

import os
import shutil
import signal

import pytest
import requests

from service.models import export, sources
from service.models.artifact import Artifact
from service.models.sources import Source

pytestmark = [pytest.mark.server, pytest.mark.model]

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch, cache):
    """A compiled model in a Hub cache, with two commits; its ``main`` is the old one until a test moves it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = tmp_path / "hf/hub/models--lab--minilm"
    for commit in (OLD, NEW):
        shutil.copytree(
            sources.find("all-MiniLM-L6-v2").directory, hub / "snapshots" / commit, copy_function=os.symlink
        )
    (hub / "refs").mkdir()
    (hub / "refs/main").write_text(OLD)
    export.ensure(Artifact(Source("lab/minilm", hub / "snapshots" / OLD), cache))
    return hub


def revision_of(service):
    return requests.get(service.url + "/v1/models", timeout=60).json()["data"][0]["revision"]


def test_a_respawned_worker_serves_the_commit_of_the_others(hub, start):
    service = start(model="lab/minilm").wait_until_ready()
    (worker,) = service.workers()
    (hub / "refs/main").write_text(NEW)
    os.kill(worker, signal.SIGKILL)
    service.wait_for(lambda: service.workers() - {worker})

    assert revision_of(service) == OLD


def test_a_master_that_executes_itself_again_resolves_the_branch(hub, start):
    service = start(model="lab/minilm").wait_until_ready()
    before = service.workers()
    (hub / "refs/main").write_text(NEW)
    service.command("r")
    service.wait_for(lambda: service.workers() - before)

    assert revision_of(service) == NEW
