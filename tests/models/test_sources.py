import os
import tempfile
from pathlib import Path

import pytest

from service.errors import ModelUnusable
from service.models import sources


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.fixture
def unprivileged():
    """The directory of an ordinary user, as whom the test runs: root may read everything."""
    os.seteuid(os.geteuid() or 65534)
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)
    os.seteuid(os.getuid())


def test_a_directory_is_served_under_its_own_name(tmp_path):
    model = tmp_path / "m3e-base"
    model.mkdir()
    (model / "modules.json").write_text("[]")

    assert sources.find(str(model)) == ("m3e-base", model)


@pytest.mark.model
def test_the_default_model_comes_from_its_package():
    assert (sources.find("all-MiniLM-L6-v2").directory / "model.safetensors").exists()


def test_a_damaged_default_model_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "EMBEDDED_SHA256", "0" * 64)

    with pytest.raises(ModelUnusable, match=r"model\.safetensors has SHA-256 53aa.*: reinstall it"):
        sources.verify(sources.find("all-MiniLM-L6-v2"))


@pytest.mark.parametrize("path", ["/data/models/nope", "nope", "./a/b/c"])
def test_a_missing_path_is_named(path):
    with pytest.raises(ModelUnusable, match=f"EMBED_MODEL={path}: no such directory"):
        sources.find(path)


def test_a_directory_that_is_no_model_says_what_is_missing(tmp_path):
    with pytest.raises(ModelUnusable, match=r"is not a model: it has neither modules\.json nor config\.json"):
        sources.find(str(tmp_path))


def test_an_unreadable_file_is_named(unprivileged):
    (unprivileged / "modules.json").touch(mode=0)

    with pytest.raises(ModelUnusable, match=r"modules\.json cannot be read: Permission denied"):
        sources.find(str(unprivileged))


@pytest.mark.usefixtures("offline")
def test_a_hub_name_that_cannot_be_had_is_one_line():
    with pytest.raises(ModelUnusable, match="EMBED_MODEL=moka-ai/m3e-base: .*the Hugging Face Hub") as refusal:
        sources.find("moka-ai/m3e-base")

    assert "\n" not in str(refusal.value)
