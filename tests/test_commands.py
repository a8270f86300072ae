"""``python -m service check`` and ``export`` with several models."""

import os
import shutil
import subprocess
import sys

import pytest

from service.models import sources
from tests.models.families import SERVED, build, build_reranker
from tests.server.processes import ROOT

pytestmark = pytest.mark.model

COMMIT = "a" * 40


@pytest.fixture
def run(tmp_path):
    """Run a command with these settings."""

    def run(command, *options, **settings):
        environ = {f"EMBED_{name.upper()}": str(value) for name, value in settings.items()}
        hub = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "EMBED_DEVICE": "cpu"}
        return subprocess.run(
            [sys.executable, "-m", "service", command, *options],
            cwd=ROOT,
            env=os.environ | hub | {"EMBED_CACHE_DIR": str(tmp_path / "cache")} | environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def hub(tmp_path):
    """A model in a Hub cache, whose ``main`` is a commit."""
    hub = tmp_path / "hf/hub/models--lab--minilm"
    source = sources.find("all-MiniLM-L6-v2").directory
    shutil.copytree(source, hub / "snapshots" / COMMIT, copy_function=os.symlink)
    (hub / "refs").mkdir()
    (hub / "refs/main").write_text(COMMIT)


@pytest.mark.usefixtures("hub")
def test_check_prints_the_commits_in_the_order_of_the_models(run):
    """As ``preflight.pin_revision`` has the workers serve them, which this command accepts again."""
    models = {"model": "all-MiniLM-L6-v2,lab/minilm", "backend": "torch"}
    first = run("check", **models)
    again = run("check", **models, revision=first.stdout.strip())

    assert first.stdout == again.stdout == f"main,{COMMIT}\n"
    assert "serving all-MiniLM-L6-v2, lab/minilm with 1 workers" in first.stderr


def test_check_looks_at_the_reranker_too(run, tmp_path):
    reranker = build_reranker(tmp_path / "scorer")
    done = run("check", backend="torch", rerank_model=reranker)

    assert done.returncode == 0
    assert "serving all-MiniLM-L6-v2, scorer with 1 workers" in done.stderr


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": "all-MiniLM-L6-v2,/nowhere"}, "EMBED_MODEL=/nowhere: no such directory"),
        ({"model": "all-MiniLM-L6-v2,"}, "EMBED_MODEL=all-MiniLM-L6-v2,: name each model once"),
        ({"rerank_model": "/nowhere"}, "EMBED_RERANK_MODEL=/nowhere: no such directory"),
        ({"model_aliases": "ada"}, "EMBED_MODEL_ALIASES: 'ada': give NAME=MODEL"),
        ({"model_aliases": "ada=m3e"}, "EMBED_MODEL_ALIASES: ada=m3e: there is no such model"),
        ({"batches": "/dev/null/x"}, "EMBED_BATCHES=/dev/null/x: Not a directory"),
    ],
)
def test_check_refuses_what_cannot_be_served(run, settings, complaint):
    done = run("check", backend="torch", **settings)

    assert done.returncode == 1
    assert f"the service cannot start: {complaint}" in done.stderr


def test_batches_need_a_directory(run):
    done = run("batches")

    assert done.returncode == 1
    assert "EMBED_BATCHES is not set" in done.stderr


def test_export_compiles_every_model(run, tmp_path):
    models = [build(tmp_path / name, SERVED["static"]) for name in ("one", "other")]
    done = run("export", model=",".join(map(str, models)))

    assert [name.rpartition("/")[2].partition("-")[0] for name in done.stdout.split()] == ["one", "other"]
    assert run("export", "--name", "a", model="a,b").returncode == 1
