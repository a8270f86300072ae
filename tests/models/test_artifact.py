"""Which artifact belongs to a model, and when it may be used."""

import os
import shutil

import pytest

from service.errors import BadSetting, ModelUnusable
from service.models import artifact as module
from service.models import cache, digests
from service.models.artifact import Artifact, Manifest, Stale, Unsupported, cache_key
from service.models.batches import Layout
from service.models.prompts import Prompts
from service.models.sources import MAX_STEM, Source

FILES = ("model.xml", "model.bin", "tokenizer.json")


@pytest.fixture
def source(tmp_path):
    """A model of two files."""
    directory = tmp_path / "source"
    (directory / "1_Pooling").mkdir(parents=True)
    (directory / "modules.json").write_text('[{"path": ""}, {"path": "1_Pooling"}]')
    (directory / "model.safetensors").write_bytes(bytes(100))
    (directory / "1_Pooling/config.json").write_text("{}")
    return Source("some", directory)


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def publish(artifact):
    """Put an artifact in its place, as ``export`` does."""
    artifact.cache.mkdir(exist_ok=True)
    with cache.lock(artifact), cache.draft(artifact) as draft:
        draft.mkdir()
        for name in FILES:
            (draft / name).write_bytes(bytes(100))
        artifact.publish(draft, manifest(digests.compute(draft, FILES)))
    return artifact


def manifest(files):
    return Manifest(
        name="some",
        versions={},
        files=files,
        dimension=4,
        pooling="mean",
        normalizes=False,
        prompts=Prompts(),
        vocabulary_size=1,
        special_tokens=True,
        split_special_tokens=False,
        equal_lengths=False,
        layout=Layout("padded"),
        cpu="",
    )


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


# --- which one --------------------------------------------------------------------------------------------------------


def test_a_model_at_another_path_has_the_same_artifact(source, directory):
    moved = source._replace(directory=shutil.copytree(source.directory, source.directory.with_name("moved")))

    assert Artifact(moved, directory).directory == Artifact(source, directory).directory


@pytest.mark.parametrize("name", ["model.safetensors", "1_Pooling/config.json"])
def test_another_content_has_another_artifact(source, directory, name):
    before = Artifact(source, directory).directory
    flip_a_byte(source.directory / name)

    assert Artifact(source, directory).directory != before


def test_a_module_folder_that_is_pointed_elsewhere_is_noticed(source, directory):
    folder, other = source.directory / "1_Pooling", source.directory.with_name("other")
    other.mkdir()
    (other / "config.json").write_text("[]")  # as long as the first
    folder.rename(source.directory.with_name("first"))
    folder.symlink_to(source.directory.with_name("first"))
    before = Artifact(source, directory).directory
    folder.unlink()
    folder.symlink_to(other)

    assert Artifact(source, directory).directory != before


@pytest.mark.parametrize("name", [".git/index", ".cache/huggingface/model.json", "train.log"])
def test_a_file_that_is_not_the_model_changes_nothing(source, directory, name):
    before = Artifact(source, directory).directory
    (source.directory / name).parent.mkdir(parents=True, exist_ok=True)
    (source.directory / name).touch()

    assert Artifact(source, directory).directory == before


@pytest.mark.parametrize("package", ["openvino", "tokenizers"])
def test_another_runtime_has_another_artifact(monkeypatch, package):
    before = cache_key("some", {})
    monkeypatch.setattr(module, "version", lambda name: "9.9" if name == package else "1.0")
    ours = cache_key("some", {})
    monkeypatch.setattr(module, "version", lambda _: "1.0")

    assert len({before, ours, cache_key("some", {})}) == 3


def test_another_format_has_another_artifact(monkeypatch):
    before = cache_key("some", {})
    monkeypatch.setattr(module, "FORMAT", -1)

    assert cache_key("some", {}) != before


@pytest.mark.parametrize("name", ["n" * 240, "模型" * 40, "lab/some", "it's 5 o'clock"])
def test_any_name_makes_a_plain_directory_name(source, directory, name):
    made = publish(Artifact(source._replace(name=name), directory)).directory.name

    assert made.isascii()
    assert len(made) <= MAX_STEM + 17


def test_long_names_that_begin_alike_have_artifacts_of_their_own(source, directory):
    names = ["n" * 200 + end for end in "ab"]

    assert len({Artifact(source._replace(name=name), directory).directory for name in names}) == 2


def test_a_model_file_that_is_gone_is_named(source, directory):
    (source.directory / "model.safetensors").unlink()
    (source.directory / "model.safetensors").symlink_to("nowhere")

    with pytest.raises(ModelUnusable, match=r"model\.safetensors cannot be read: No such file"):
        Artifact(source, directory).manifest()


# --- may it be used ---------------------------------------------------------------------------------------------------


def test_an_artifact_is_used_once_it_is_published(source, directory):
    artifact = Artifact(source, directory)
    with pytest.raises(Stale, match="it was not compiled yet"):
        artifact.manifest()
    publish(artifact)

    assert artifact.manifest().dimension == 4


def test_that_a_model_is_unsupported_is_remembered(source, directory):
    artifact = Artifact(source, directory)
    with cache.draft(artifact) as draft:
        draft.mkdir()
        artifact.publish(draft, Unsupported(name="some", versions={}, reason="no such operation"))

    assert artifact.manifest().reason == "no such operation"


@pytest.mark.parametrize("name", FILES)
def test_a_tampered_artifact_is_stale(source, directory, name):
    artifact = publish(Artifact(source, directory))
    artifact.manifest()  # seals it
    flip_a_byte(artifact.directory / name)

    with pytest.raises(Stale, match="its files were damaged"):
        artifact.manifest()


@pytest.mark.parametrize("name", FILES)
def test_an_artifact_that_lacks_a_file_is_stale(source, directory, name):
    artifact = publish(Artifact(source, directory))
    (artifact.directory / name).unlink()

    with pytest.raises(Stale, match="its files were damaged"):
        artifact.manifest()


def test_a_manifest_that_is_garbage_is_stale(source, directory):
    artifact = publish(Artifact(source, directory))
    (artifact.directory / "manifest.json").write_text("{")

    with pytest.raises(Stale, match="its manifest cannot be read"):
        artifact.manifest()


def test_a_damaged_artifact_is_replaced(source, directory):
    artifact = publish(Artifact(source, directory))
    flip_a_byte(artifact.directory / "model.bin")
    publish(artifact)

    assert artifact.manifest().dimension == 4
    assert [path for path in directory.iterdir() if not path.name.startswith(".")] == [artifact.directory]


# --- which ones are kept ----------------------------------------------------------------------------------------------


def publish_versions(source, directory, count):
    """Publish artifacts of as many contents of the model, each used after the one before."""
    made = []
    for number in range(count):
        (source.directory / "model.safetensors").write_bytes(bytes([number]))
        made.append(publish(Artifact(source, directory)))
        os.utime(made[-1].directory, (number, number))
    return made


def prune(artifact):
    cache.prune(artifact)
    return {path for path in artifact.cache.iterdir() if not path.name.startswith(".")}


def test_the_artifacts_that_were_used_last_are_kept(source, directory):
    made = publish_versions(source, directory, 5)

    assert prune(made[-1]) == {each.directory for each in made[-cache.MAX_KEPT :]}


def test_a_use_counts(source, directory):
    made = publish_versions(source, directory, 5)
    os.utime(made[0].directory)

    assert made[0].directory in prune(made[-1])


def test_an_artifact_in_use_is_kept(source, directory):
    made = publish_versions(source, directory, 5)
    made[0].use()
    os.utime(made[0].directory, (0, 0))

    assert made[0].directory in prune(made[-1])
    assert made[1].directory not in prune(made[-1])


@pytest.mark.parametrize("name", ["other", "some-other", "some/other"])
def test_the_artifacts_of_other_models_are_left_alone(source, directory, name):
    other = publish(Artifact(source._replace(name=name), directory))
    os.utime(other.directory, (0, 0))

    assert other.directory in prune(publish_versions(source, directory, 5)[-1])


def test_a_draft_that_a_dead_process_left_is_removed(source, directory):
    artifact = Artifact(source, directory)
    (directory / f".some-{'0' * 16}.draft-abc").mkdir()
    publish(artifact)

    assert not list(directory.glob(".*.draft-*"))


# --- where they are ---------------------------------------------------------------------------------------------------


def test_a_cache_directory_without_a_home_is_refused():
    with pytest.raises(BadSetting, match="EMBED_CACHE_DIR=~nosuchuser/x: ~ stands for no directory here; give a full"):
        cache.locate("~nosuchuser/x")
