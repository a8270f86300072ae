import pytest

from service.errors import ModelUnusable
from service.models import sources


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_directory_is_served_under_its_own_name(tmp_path):
    model = tmp_path / "m3e-base"
    model.mkdir()
    (model / "modules.json").write_text("[]")

    assert sources.find(str(model)) == ("m3e-base", model, None)


@pytest.mark.model
def test_the_default_model_comes_from_its_package():
    assert (sources.find("all-MiniLM-L6-v2").directory / "model.safetensors").exists()


def test_a_damaged_default_model_is_refused(monkeypatch):
    monkeypatch.setattr(sources, "EMBEDDED_SHA256", "0" * 64)

    with pytest.raises(ModelUnusable, match=r"model\.safetensors has SHA-256 53aa.*: reinstall it"):
        sources.verify(sources.find("all-MiniLM-L6-v2"))


@pytest.mark.parametrize(
    ("path", "complaint"),
    [("~nosuchuser/m", "~ stands for no directory here; give a full path"), ("/" + "m" * 300, "File name too long")],
)
def test_a_path_that_cannot_be_one_is_refused(path, complaint):
    with pytest.raises(ModelUnusable, match=f"EMBED_MODEL={path}: .*{complaint}"):
        sources.find(path)


def test_an_unreadable_model_names_the_setting_and_the_file(tmp_path):
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")

    with pytest.raises(ModelUnusable, match=r"EMBED_MODEL=/.*: /.*/model\.safetensors is a Git LFS pointer"):
        sources.find(str(tmp_path))


@pytest.mark.usefixtures("hub")
def test_a_hub_cache_without_a_home_names_the_variable(online):
    online.failure = RuntimeError("Could not determine home directory.")

    with pytest.raises(ModelUnusable, match="EMBED_MODEL=moka-ai/m3e-base: .* set HF_HOME to a full path"):
        sources.resolve("moka-ai/m3e-base")


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


OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def hub(offline):
    """A cache with two commits of a model; its ``main`` is the old one until a test moves it."""
    cache = offline / "models--moka-ai--m3e-base"
    for commit in (OLD, NEW):
        (cache / "snapshots" / commit).mkdir(parents=True)
        (cache / "snapshots" / commit / "modules.json").write_text("[]")
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text(OLD)
    return cache


@pytest.fixture
def online(monkeypatch):
    """The Hub's answers, which a test may set; the names that were asked for are in ``asked``."""
    return Online(monkeypatch)


class Online:
    def __init__(self, monkeypatch):
        self.asked = []
        self.commit = NEW
        self.failure = None
        from huggingface_hub import snapshot_download

        self.download = snapshot_download
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.snapshot_download)

    def snapshot_download(self, name, revision, *, local_files_only=False, **options):
        if local_files_only:
            return self.download(name, revision=revision, local_files_only=True, **options)
        self.asked.append(revision)
        if self.failure:
            raise self.failure
        return self.download(name, revision=self.commit, local_files_only=True, **options)


def test_a_hub_name_is_found_in_the_cache_without_the_hub(hub, online):
    source = sources.find("moka-ai/m3e-base")

    assert source == ("moka-ai/m3e-base", hub / "snapshots" / OLD, OLD)
    assert online.asked == []


def test_a_commit_stays_what_it_is_when_the_branch_moves(hub, online):
    (hub / "refs/main").write_text(NEW)

    assert sources.find("moka-ai/m3e-base", OLD).directory == hub / "snapshots" / OLD
    assert online.asked == []


@pytest.mark.usefixtures("hub")
def test_a_revision_that_the_cache_lacks_is_downloaded(online):
    assert sources.find("moka-ai/m3e-base", "v2").revision == NEW
    assert online.asked == ["v2"]


@pytest.mark.usefixtures("hub")
def test_resolve_asks_the_hub_where_the_branch_is_now(online):
    assert sources.resolve("moka-ai/m3e-base").revision == NEW
    assert online.asked == ["main"]


@pytest.mark.usefixtures("hub")
def test_without_the_hub_resolve_takes_the_caches_commit():
    assert sources.resolve("moka-ai/m3e-base").revision == OLD


@pytest.mark.usefixtures("hub")
def test_an_error_without_a_message_is_named_by_its_type(online):
    online.failure = OSError()

    with pytest.raises(ModelUnusable, match=r"revision main \(EMBED_REVISION\): OSError"):
        sources.resolve("moka-ai/m3e-base")


@pytest.mark.usefixtures("offline")
def test_a_hub_name_that_cannot_be_had_is_one_line():
    with pytest.raises(ModelUnusable, match="EMBED_MODEL=moka-ai/m3e-base: .*the Hugging Face Hub") as refusal:
        sources.find("moka-ai/m3e-base")

    assert "\n" not in str(refusal.value)
