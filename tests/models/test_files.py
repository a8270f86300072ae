"""Which files are the model, and what is said of one that cannot be read."""

import json

import pytest

from service.errors import ModelUnusable
from service.models import files


def write(directory, *names, content="{}"):
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)


def write_modules(directory, *paths):
    (directory / "modules.json").write_text(json.dumps([{"path": path, "type": "Some"} for path in paths]))


def test_weights_settings_and_vocabularies_are_the_model(tmp_path):
    read = ["config.json", "merges.txt", "model.safetensors", "spiece.model", "vocab.txt"]
    write(tmp_path, *read)

    assert files.find(tmp_path) == read


@pytest.mark.parametrize(
    "name",
    [
        *(".git/config.json", ".cache/huggingface/x.json", "logs/events.json", "checkpoint-1/model.safetensors"),
        *("train.log", "README.md", "onnx/model.onnx", "training_args.bin", "eval_results.json", ".model.json"),
    ],
)
def test_what_no_loader_reads_is_not_the_model(tmp_path, name):
    write(tmp_path, name)

    assert files.find(tmp_path) == []


def test_the_folders_of_modules_are_the_model(tmp_path):
    write(tmp_path, "1_Pooling/config.json", "2_Dense/model.safetensors", "3_Other/config.json")
    write_modules(tmp_path, "", "1_Pooling", "2_Dense")

    assert files.find(tmp_path) == ["1_Pooling/config.json", "2_Dense/model.safetensors", "modules.json"]


def test_the_folders_of_a_routers_routes_are_the_model(tmp_path):
    write(tmp_path, "query_0_Transformer/config.json")
    write(tmp_path, "router_config.json", content='{"types": {"query_0_Transformer": "Some"}}')

    assert "query_0_Transformer/config.json" in files.find(tmp_path)


def test_a_module_folder_may_be_a_link(tmp_path):
    write(tmp_path / "elsewhere", "config.json")
    write_modules(tmp_path / "elsewhere/..", "1_Pooling")
    (tmp_path / "1_Pooling").symlink_to(tmp_path / "elsewhere")

    assert "1_Pooling/config.json" in files.find(tmp_path)


def test_of_two_forms_of_the_weights_safetensors_is_read(tmp_path):
    write(tmp_path, "model.safetensors", "pytorch_model.bin")

    assert files.find(tmp_path) == ["model.safetensors"]


def test_a_damaged_modules_json_is_named(tmp_path):
    write(tmp_path, "modules.json", content="[{")

    with pytest.raises(ModelUnusable, match=r"modules\.json is damaged: "):
        files.find(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "modules.json"])
def test_a_file_that_may_not_be_read_is_named(unprivileged, name):
    write(unprivileged, name)
    (unprivileged / name).chmod(0)

    with pytest.raises(ModelUnusable, match=rf"{name} cannot be read: Permission denied; let the service's user, \d+"):
        files.check(unprivileged)


def test_a_folder_that_may_not_be_read_is_named(unprivileged):
    write(unprivileged, "1_Pooling/config.json")
    write_modules(unprivileged, "1_Pooling")
    (unprivileged / "1_Pooling").chmod(0)

    with pytest.raises(ModelUnusable, match="/1_Pooling/.* cannot be read: Permission denied"):
        files.check(unprivileged)


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs/gone")

    with pytest.raises(ModelUnusable, match=r"model\.safetensors cannot be read: No such file"):
        files.check(tmp_path)


def test_a_git_lfs_pointer_in_place_of_the_weights_is_named(tmp_path):
    write(tmp_path, "model.safetensors", content="version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")

    with pytest.raises(ModelUnusable, match=r"model\.safetensors is a Git LFS pointer, .* run `git lfs pull` in /"):
        files.check(tmp_path)
