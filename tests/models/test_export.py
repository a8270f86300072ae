"""From a model to an artifact: once, complete or not at all, and never a wrong one."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.errors import ModelUnusable
from service.models import accuracy, export, openvino, sources
from service.models.artifact import Artifact, Manifest
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


@pytest.fixture
def artifact(made, tmp_path):
    """A copy of it that a test may break, of a source that it may change."""
    source = made.source._replace(directory=shutil.copytree(made.source.directory, tmp_path / "source"))
    copy = Artifact(source, tmp_path / "cache")
    shutil.copytree(made.directory, copy.directory)
    return copy


def flip_a_byte(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0xFF]))


def test_an_artifact_that_was_copied_elsewhere_is_found_right_by_its_hashes(artifact):
    assert isinstance(artifact.manifest(), Manifest)


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "tokenizer.json"])
def test_a_tampered_artifact_is_not_used(artifact, name):
    artifact.manifest()  # sealed: the next look compares sizes and times
    flip_a_byte(artifact.directory / name)

    assert artifact.manifest() == "its files were damaged"


def test_an_artifact_of_a_model_that_changed_is_not_used(artifact):
    artifact.manifest()
    flip_a_byte(artifact.source.directory / "model.safetensors")

    assert artifact.manifest() == "the model has changed"


def test_an_artifact_of_another_openvino_is_not_used(artifact, monkeypatch):
    monkeypatch.setattr("service.models.artifact.version", lambda package: {"openvino": "9.9"}.get(package, "0"))

    assert artifact.manifest().startswith("it was made with openvino 20")


def test_a_manifest_that_is_garbage_is_not_used(artifact):
    (artifact.directory / "manifest.json").write_text("{")

    assert artifact.manifest().startswith("its manifest cannot be read")


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
    assert accuracy.cosines(model.embed(model.tokenize(texts)), expected).min() >= 1 - 1e-6


def test_processes_that_start_together_compile_once(source, tmp_path, caplog):
    caplog.set_level("INFO")
    artifact = Artifact(source, tmp_path)
    with ThreadPoolExecutor(3) as pool:
        manifests = list(pool.map(export.ensure, [artifact] * 3))

    assert caplog.text.count("tracing and converting") == 1
    assert manifests[0] == manifests[1] == manifests[2]


def test_a_crash_leaves_nothing_that_the_next_one_would_use(source, tmp_path):
    artifact = Artifact(source, tmp_path)
    command = [sys.executable, "-m", "service", "export", "--model", source.directory, "--cache-dir", tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stderr if "tracing" in line)
        process.kill()
    crashed = Artifact(sources.find(str(source.directory)), tmp_path)
    left = list(tmp_path.glob(".*.draft-*"))
    manifest = crashed.manifest()
    export.ensure(crashed)

    assert manifest == "it was not compiled yet"
    assert left
    assert not list(tmp_path.glob(".*.draft-*"))
    assert isinstance(artifact.manifest(), str) or artifact.directory == crashed.directory


def test_a_model_that_cannot_be_compiled_is_remembered_with_the_reason(source, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("long story\nno such operation")

    monkeypatch.setattr(export, "_convert", fail)
    artifact = Artifact(source, tmp_path)
    export.export(artifact)

    assert artifact.manifest().problem == "RuntimeError: no such operation"
    assert not (artifact.directory / "model.bin").exists()


def test_a_graph_that_gives_other_vectors_is_never_used(source, tmp_path, monkeypatch):
    """As when a tracer freezes the attention mask of its example into the graph."""
    monkeypatch.setattr(openvino.OpenVinoModel, "embed", lambda _, batch: np.ones((len(batch), 16), np.float32))
    artifact = Artifact(source, tmp_path)
    export.export(artifact)

    assert artifact.manifest().problem.startswith("ValueError: the compiled model comes only to cosine")


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
    assert done.stderr.startswith("ERROR EMBED_MODEL=/nowhere: no such directory")
    assert done.stderr.count("\n") == 1
