"""The fingerprint follows the model's content and dtype, and nothing else."""

import json
import shutil

import pytest

from service.models import catalog, fingerprint
from service.models.sources import Source
from service.settings import Settings
from tests.models.families import SERVED, build, drop, edit

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return build(tmp_path_factory.mktemp("original") / "model", SERVED["BERT"])


@pytest.fixture
def copy(original, tmp_path):
    return shutil.copytree(original, tmp_path / "another name")


def compute(directory, dtype="float32"):
    return fingerprint.compute(fingerprint.digest(Source(directory.name, directory), None), dtype)


def repool(directory):
    edit(directory, "1_Pooling/config.json", pooling_mode="cls")


def add_normalize(directory):
    modules = json.loads((directory / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})
    (directory / "modules.json").write_text(json.dumps(modules))


CHANGES = {
    "weights": lambda copy: drop(copy, "pooler."),
    "tokenizer": lambda copy: edit(copy, "tokenizer.json", normalizer=None),
    "pooling": repool,
    "modules": add_normalize,
    "prompts": lambda copy: edit(copy, "config_sentence_transformers.json", prompts={"query": "query: "}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_vectors_changes_the_fingerprint(original, copy, change):
    change(copy)

    assert compute(copy) != compute(original)


def test_another_dtype_has_another_fingerprint(original):
    assert compute(original) != compute(original, "bfloat16")


def test_directory_and_readme_do_not_change_the_fingerprint(original, copy):
    (copy / "README.md").write_text("A model.")
    (copy / ".gitattributes").write_text("*.safetensors filter=lfs")

    assert compute(copy) == compute(original)
    assert len(bytes.fromhex(compute(copy))) == 32


def test_digests_are_remembered_where_the_cache_can_be_written(original, tmp_path):
    source = Source("model", original)
    cache = tmp_path / "made" / "if need be"

    assert fingerprint.digest(source, cache) == fingerprint.digest(source, None)
    assert len(list(cache.glob(".model-*.digests"))) == 1


def test_a_cache_that_cannot_be_written_is_done_without(original, tmp_path):
    (tmp_path / "file").touch()
    source = Source("model", original)

    assert fingerprint.digest(source, tmp_path / "file/cache") == fingerprint.digest(source, None)


@pytest.mark.parametrize("cache", ["~nosuchuser/x", "/proc/nowhere"])
def test_torch_serves_without_a_cache(original, cache):
    model = catalog.load(Settings(model=str(original), backend="torch", device="cpu", cache_dir=cache), 1, 1)

    assert model.fingerprint == compute(original)
