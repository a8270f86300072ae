"""From a model to an artifact: once, complete or not at all, and never a wrong one."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest

from service.errors import ModelUnusable
from service.models import accuracy, child, export, openvino, sources
from service.models.artifact import Artifact, Stale, Unsupported
from tests.deploy.stage import copy_tree
from tests.models.variants import pieces, saved
from tests.programs import program
from tests.server.processes import ROOT

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def made(cache):
    """The real model's artifact, as every other test of this run uses it."""
    artifact = Artifact(sources.find("all-MiniLM-L6-v2"), cache)
    export.ensure(artifact)
    return artifact


def small(directory, **options):
    """A model that exports in a second or two: one layer of the real one, with dense layer and prompt."""
    from sentence_transformers.sentence_transformer.modules import Dense

    transformer, pooling = pieces()
    transformer.auto_model.encoder.layer = transformer.auto_model.encoder.layer[:1]
    transformer.auto_model.config.num_hidden_layers = 1
    return saved(
        directory,
        transformer,
        pooling(384, pooling_mode="mean", **options),
        Dense(384, 16),
        prompts={"q": "query: "},
        default_prompt_name="q",
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small(tmp_path_factory.mktemp("small"), include_prompt=False)


def test_prompt_pooling_and_dense_layer_are_in_the_graph(source, tmp_path):
    from sentence_transformers import SentenceTransformer

    artifact = Artifact(source, tmp_path)
    model = openvino.load(artifact, export.ensure(artifact), "float32", threads=2)
    texts = ["a", "a text that is longer", ""]

    expected = SentenceTransformer(str(source.directory), device="cpu").encode(texts)
    assert accuracy.cosines(model.embed(model.tokenize(texts).ids), expected).min() >= 1 - 1e-6


def test_processes_that_start_together_compile_once(source, tmp_path, caplog):
    caplog.set_level("INFO")
    artifact = Artifact(source, tmp_path)
    with ThreadPoolExecutor(3) as pool:
        manifests = list(pool.map(export.ensure, [artifact] * 3))

    assert caplog.text.count("tracing and converting") == 1
    assert manifests[0] == manifests[1] == manifests[2]


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A copy of the service whose exports stop at the tracing, so that a test can end them."""
    tree, line = copy_tree(tmp_path_factory.mktemp("held")), '    log.info("tracing and converting the graph")\n'
    text = (tree / "service/models/export.py").read_text()
    assert line in text
    (tree / "service/models/export.py").write_text(text.replace(line, f"{line}    time.sleep(600)\n"))
    return tree


def test_a_crash_leaves_nothing_that_the_next_one_would_use(source, held, tmp_path):
    artifact = Artifact(source, tmp_path)
    with start_export(source, tmp_path, cwd=held) as process:
        wait_for_line(process, "tracing")
        process.kill()
    left = list(tmp_path.glob(".*.draft-*"))
    with pytest.raises(Stale, match="it was not compiled yet"):
        artifact.manifest()
    export.ensure(artifact)

    assert left
    assert not list(tmp_path.glob(".*.draft-*"))


def start_export(source, cache, *options, cwd=ROOT, **pipes):
    """Start the export of ``source`` as a process whose standard error can be read."""
    options = [f"--model={source.directory}", f"--name={source.name}", f"--cache-dir={cache}", *options]
    command = [sys.executable, "-m", "service", "export", *options]
    return subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True, **pipes)


def wait_for_line(process, word):
    next(line for line in process.stderr if word in line)


def test_the_export_ends_with_the_process_that_waits_for_it(source, held, tmp_path):
    with start_export(source, tmp_path, "--attached", cwd=held, stdin=subprocess.PIPE) as process:
        wait_for_line(process, "compiling")
        process.stdin.close()  # as the kernel does for a process that was killed

        assert process.wait(300) == -signal.SIGIO


def test_the_export_of_a_process_that_is_gone_does_not_begin(source, tmp_path):
    with start_export(source, tmp_path, "--attached", stdin=subprocess.DEVNULL) as process:
        assert process.wait(300) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_export_behind(source, held, tmp_path):
    environ = {"EMBED_MODEL": str(source.directory), "EMBED_CACHE_DIR": str(tmp_path), "EMBED_DEVICE": "cpu"}
    command = [sys.executable, "-m", "service", "check"]
    with subprocess.Popen(command, cwd=held, env=os.environ | environ, stderr=subprocess.PIPE, text=True) as process:
        wait_for_line(process, "compiling")
        (exporting,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        end = os.pidfd_open(int(exporting))
        process.kill()

    assert select.select([end], [], [], 300)[0]
    os.close(end)
    assert list(tmp_path.glob("[!.]*")) == []  # it did not finish


def fail(monkeypatch, error):
    def convert(*_):
        raise error

    monkeypatch.setattr(export, "_convert", convert)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError("Check failed at frontend.cpp:\nno such operation\nlong story"),
            "RuntimeError: Check failed at frontend.cpp: no such operation",
        ),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_why_a_model_cannot_be_compiled_is_remembered(source, tmp_path, monkeypatch, error, reason):
    fail(monkeypatch, error)
    artifact = Artifact(source, tmp_path)
    export.export(artifact)

    assert artifact.manifest() == Unsupported(name="variant", versions=ANY, reason=reason)
    assert [path.name for path in artifact.directory.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        OSError(24, "Too many open files", "/usr/lib/libopenvino.so"),
    ],
)
def test_what_may_pass_is_not_remembered(source, tmp_path, monkeypatch, error):
    fail(monkeypatch, error)
    artifact = Artifact(source, tmp_path)

    with pytest.raises(ModelUnusable, match="could not be compiled"):
        export.export(artifact)
    with pytest.raises(Stale):
        artifact.manifest()


def test_a_full_disk_is_not_taken_for_the_models_problem(source, tmp_path, monkeypatch):
    fail(monkeypatch, RuntimeError("OpenVINO does not say why"))
    monkeypatch.setattr(export, "MIN_FREE_BYTES", 2**60)

    with pytest.raises(ModelUnusable, match="EMBED_CACHE_DIR=.*: No space left on device; name a directory"):
        export.export(Artifact(source, tmp_path))


def test_a_graph_that_gives_other_vectors_is_never_used(source, tmp_path, monkeypatch):
    """As when a tracer freezes the attention mask of its example into the graph."""
    monkeypatch.setattr(openvino.OpenVinoModel, "embed", lambda _, batch: np.ones((len(batch), 16), np.float32))
    artifact = Artifact(source, tmp_path)
    export.export(artifact)

    assert artifact.manifest().reason.startswith("ValueError: the compiled model comes only to cosine")


def test_a_model_that_changes_meanwhile_is_not_published(source, tmp_path, monkeypatch):
    changing = source._replace(directory=shutil.copytree(source.directory, tmp_path / "source"))

    def change(*_):
        (changing.directory / "config_sentence_transformers.json").write_text("{}")
        raise NotImplementedError

    monkeypatch.setattr(export, "_convert", change)
    with pytest.raises(ModelUnusable, match="changed while it was compiled; start again"):
        export.export(Artifact(changing, tmp_path / "cache"))


def test_a_model_file_is_not_blamed_on_the_cache(source, tmp_path, monkeypatch):
    path = source.directory / "model.safetensors"
    fail(monkeypatch, PermissionError(13, "Permission denied", str(path)))

    with pytest.raises(ModelUnusable, match=f"^{path} cannot be read: Permission denied"):
        export.export(Artifact(source, tmp_path))


def test_a_child_that_is_killed_says_so(source, tmp_path, monkeypatch):
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\necho loading >&2\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))

    with pytest.raises(
        ModelUnusable, match="killed by signal 9, perhaps for want of memory; its last line was: loading"
    ):
        child.run_export(Artifact(source, tmp_path))


@pytest.mark.parametrize("name", ["modèle", "模型", "m" * 240])
def test_any_directory_name_works_without_a_locale(source, tmp_path, name):
    directory = tmp_path / name
    shutil.copytree(source.directory, directory)
    environ = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "EMBED_MODEL": str(directory), "EMBED_DEVICE": "cpu"}
    program = "from service.settings import Settings; from service.models import catalog;"
    program += "print(ascii(catalog.load(Settings.from_env(), 1, 1).name))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environ | {"EMBED_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{name!a}\n", "")


def test_a_full_disk_is_named(source, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run([program("mount"), "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        with pytest.raises(
            ModelUnusable, match=r"EMBED_CACHE_DIR=.*/disk: \d+ MB are needed and [01] MB are free; name"
        ):
            export.ensure(Artifact(source, disk))
    finally:
        subprocess.run([program("umount"), disk], check=True)


def test_a_cache_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ModelUnusable, match="EMBED_CACHE_DIR=.*/file/cache: Not a directory; name a directory"):
        export.ensure(Artifact(source, tmp_path / "file" / "cache"))


def test_export_prints_where_the_artifact_is(made):
    command = [sys.executable, "-m", "service", "export", "--cache-dir", made.cache]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == f"{made.directory}\n"


def test_export_says_in_one_line_what_is_wrong():
    command = [sys.executable, "-m", "service", "export", "--model", "/nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert re.match(r"\S+ ERROR \[\d+\] EMBED_MODEL=/nowhere: no such directory", done.stderr)
    assert done.stderr.count("\n") == 1
