"""Which backend serves: torch on a GPU, OpenVINO on a CPU, torch where OpenVINO cannot."""

from types import SimpleNamespace

import msgspec
import pytest

from service.errors import BadSetting, ModelUnusable, UnknownModel
from service.models import catalog
from service.models.artifact import Unsupported
from service.settings import Settings
from tests.models.families import SERVED, build


class Backends:
    """Stands in for both backends and remembers what was loaded."""

    def __init__(self, monkeypatch, gpu):
        self.loaded = []
        self.refuse = False
        monkeypatch.setattr(catalog, "_has_gpu", lambda: gpu)
        monkeypatch.setattr(catalog.cpu, "has_bfloat16", lambda: False)
        monkeypatch.setattr(catalog.cpu, "cores", lambda: 8)
        self.manifest = None
        monkeypatch.setattr(catalog.export, "ensure", lambda _: self.manifest)
        monkeypatch.setattr(catalog.openvino, "load", self.openvino)
        monkeypatch.setattr(catalog.budget, "choose", lambda *_: 999)
        monkeypatch.setattr(catalog, "TorchModel", self.torch)
        monkeypatch.setattr(catalog.fingerprint, "digest", lambda *_: {})

    def openvino(self, _artifact, _manifest, dtype, threads):
        if self.refuse:
            raise ModelUnusable("it cannot be run by OpenVINO")
        self.loaded.append(("openvino", dtype, threads))
        return SimpleNamespace(max_batch_tokens=512)

    def torch(self, _source, device, dtype, threads, _worker):
        self.loaded.append(("torch", device, dtype, threads))
        return SimpleNamespace(max_batch_tokens=1024)


def loaded(monkeypatch, *, gpu=False, refuse=False, manifest=None, **settings):
    backends = Backends(monkeypatch, gpu)
    backends.refuse = refuse
    backends.manifest = manifest
    catalog.load(Settings(**settings), worker=1, workers=2)
    return backends.loaded


def test_without_a_gpu_openvino_serves_on_its_share_of_the_cores(monkeypatch):
    assert loaded(monkeypatch) == [("openvino", "auto", 4)]


@pytest.mark.parametrize(
    ("gpu", "settings", "tokens"),
    [
        (False, {}, 999),
        (False, {"backend": "torch"}, 1024),
        (False, {"max_batch_tokens": 64}, 512),
        (True, {}, 1024),
    ],
)
def test_openvinos_tokens_of_a_batch_are_measured(monkeypatch, gpu, settings, tokens):
    """Unless they are given."""
    Backends(monkeypatch, gpu)

    assert catalog.load(Settings(**settings), worker=1, workers=1).max_batch_tokens == tokens


def test_with_a_gpu_torch_serves(monkeypatch):
    assert loaded(monkeypatch, gpu=True) == [("torch", "auto", "float32", 4)]


def test_a_gpu_that_is_not_wanted_is_left_alone(monkeypatch):
    assert loaded(monkeypatch, gpu=True, device="cpu") == [("openvino", "auto", 4)]


def test_on_a_gpu_float16_may_be_asked_for(monkeypatch):
    assert loaded(monkeypatch, gpu=True, dtype="float16") == [("torch", "auto", "float16", 4)]


def test_torch_serves_what_openvino_cannot(monkeypatch, caplog):
    """One warning says so."""
    assert loaded(monkeypatch, refuse=True) == [("torch", "auto", "float32", 4)]
    assert caplog.messages == ["it cannot be run by OpenVINO; serving it with torch, which is slower"]


def test_torch_serves_a_model_that_could_not_be_compiled(monkeypatch, caplog):
    unsupported = Unsupported(name="some", versions={}, reason="RuntimeError: no such operation")

    assert loaded(monkeypatch, manifest=unsupported) == [("torch", "auto", "float32", 4)]
    assert caplog.messages[0].startswith("some cannot be run by OpenVINO: RuntimeError: no such operation; serving it")


def test_openvino_that_was_asked_for_is_not_replaced(monkeypatch):
    with pytest.raises(ModelUnusable, match="cannot be run by OpenVINO"):
        loaded(monkeypatch, refuse=True, backend="openvino")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"backend": "openvino", "device": "cuda:1"}, "EMBED_BACKEND=openvino runs on the CPU"),
        ({"dtype": "float16"}, "EMBED_DTYPE=float16 needs a GPU"),
        ({"backend": "openvino", "dtype": "bfloat16"}, "this CPU has neither AMX nor AVX512-BF16"),
    ],
)
def test_what_does_not_go_together_is_refused(monkeypatch, settings, complaint):
    with pytest.raises(BadSetting, match=complaint):
        loaded(monkeypatch, **settings)


@pytest.mark.parametrize(("name", "chosen"), [(None, "one"), ("one", "one"), ("other", "other"), ("ada", "other")])
def test_a_model_is_chosen_by_the_name_that_requests_give(tmp_path, name, chosen):
    settings = several(tmp_path)

    assert catalog.choose(settings, name).model == str(tmp_path / chosen)
    assert catalog.choose(msgspec.structs.replace(settings, model=str(tmp_path / "one"), model_aliases=""), "any")


def test_a_name_that_no_model_has_is_refused_with_those_served(tmp_path):
    with pytest.raises(UnknownModel, match="no model 'gpt'; this service has one, other, ada"):
        catalog.choose(several(tmp_path), "gpt")


def several(directory):
    models = [build(directory / name, SERVED["static"]) for name in ("one", "other")]
    aliases = f"ada={models[1]}"
    return Settings(model=",".join(map(str, models)), model_aliases=aliases, backend="torch", device="cpu")
