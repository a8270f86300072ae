"""Token ids to vectors: the only place that knows torch and OpenVINO, which it imports only inside functions."""

import importlib.util
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from service import aliases, cpu
from service.engine.model import Model, RerankModel
from service.errors import BadSetting, ModelUnusable, UnknownModel
from service.models import budget, cache, export, fingerprint, kind, openvino, reranker, sources
from service.models.artifact import Artifact, Manifest, Unsupported
from service.models.sources import Source
from service.models.torch import TorchModel
from service.settings import Settings

__all__ = ["choose", "load", "load_reranker", "prepare", "prepare_reranker"]

log = logging.getLogger(__name__)

Torch = TypeVar("Torch", bound=TorchModel)
Compiled = TypeVar("Compiled", bound=openvino.OpenVinoModel)


def prepare(settings: Settings) -> Source:
    """Do what takes long and is needed once: find or download the model, and compile it if OpenVINO is to run it.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    return _prepare(settings, kind.SERVED)


def choose(settings: Settings, name: str | None = None) -> Settings:
    """Prepare the model that requests call ``name``, and return its own settings, with its commit.

    With one model any name will do; without a name it is the first.

    Raises:
        StartError: a setting or the model cannot be used.
        UnknownModel: there are several models, and none has this name.
    """
    every = settings.each_model()
    chosen = every[0]
    if name and len(every) > 1:
        own = {prepare(each).name: each for each in every}
        names = {each.model: known for known, each in own.items()}
        further = aliases.resolve(aliases.read(settings.model_aliases), names)
        known = further.get(name, name)
        if known not in own:
            raise UnknownModel(f"there is no model {name[:200]!r}; this service has {', '.join([*own, *further])}")
        chosen = own[known]
    return msgspec.structs.replace(chosen, revision=prepare(chosen).revision or chosen.revision)


def prepare_reranker(settings: Settings) -> Source:
    """Do the same for a model that scores pairs, of which ``settings`` are as if it were EMBED_MODEL.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    with _naming_the_reranker():
        return _prepare(settings, kind.RERANKER)


def load(settings: Settings, worker: int, workers: int) -> Model:
    """Load the model that ``settings`` name, verified and warm.

    Args:
        settings: name the model, the device, the backend and the dtype.
        worker: the number of this process, from 1.
        workers: how many processes share the cores.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    source = sources.find(settings.model, settings.revision)
    kind.check(source.directory)
    threads = cpu.share(workers)
    return _load_openvino(openvino.load, source, settings, threads) or _load_torch(
        TorchModel, source, settings, threads, worker
    )


def load_reranker(settings: Settings, worker: int, workers: int) -> RerankModel:
    """Load the model that scores pairs, of which ``settings`` are as if it were EMBED_MODEL.

    Raises:
        StartError: a setting or the model cannot be used.
    """
    with _naming_the_reranker():
        source = sources.find(settings.model, settings.revision)
        kind.check(source.directory, kind.RERANKER)
        threads = cpu.share(workers)
        return _load_openvino(reranker.load, source, settings, threads) or _load_torch(
            reranker.TorchReranker, source, settings, threads, worker
        )


def _prepare(settings: Settings, wanted: str) -> Source:
    source = sources.resolve(settings.model, settings.revision)
    kind.check(source.directory, wanted)
    if _pick_backend(settings) == "openvino":
        export.ensure(_artifact(source, settings))
    return source


@contextmanager
def _naming_the_reranker() -> Iterator[None]:
    try:
        yield
    except ModelUnusable as error:
        raise ModelUnusable(str(error).replace("EMBED_MODEL=", "EMBED_RERANK_MODEL=")) from None


def _load_torch(
    build: Callable[[Source, str, str, int, int], Torch], source: Source, settings: Settings, threads: int, worker: int
) -> Torch:
    dtype = "float32" if settings.dtype == "auto" else settings.dtype
    directory = None
    with suppress(BadSetting):  # torch needs no cache
        directory = cache.locate(settings.cache_dir)
    digests = fingerprint.digest(source, directory)
    model = build(source, settings.device, dtype, threads, worker)
    model.fingerprint = fingerprint.compute(digests, dtype)
    return model


def _load_openvino(
    load: Callable[[Artifact, Manifest, str, int], Compiled], source: Source, settings: Settings, threads: int
) -> Compiled | None:
    """Load the compiled model; return None if torch has to serve it."""
    if _pick_backend(settings) != "openvino":
        return None
    artifact = _artifact(source, settings)
    manifest = export.ensure(artifact)
    try:
        model = load(artifact, _check_support(manifest), settings.dtype, threads)
    except ModelUnusable as error:
        if settings.backend == "openvino":
            raise
        log.warning("%s; serving it with torch, which is slower", error)
        return None
    if settings.max_batch_tokens == "auto":
        model.max_batch_tokens = budget.choose(artifact.directory / "costs.json", model, threads)
    return model


def _check_support(manifest: Manifest | Unsupported) -> Manifest:
    if isinstance(manifest, Unsupported):
        raise ModelUnusable(f"{manifest.name} cannot be run by OpenVINO: {manifest.reason}")
    return manifest


def _artifact(source: Source, settings: Settings) -> Artifact:
    return Artifact(source, cache.locate(settings.cache_dir))


def _pick_backend(settings: Settings) -> str:
    """Choose: torch on a GPU, OpenVINO on a CPU; refuse what does not go together."""
    gpu = settings.device.startswith("cuda") or (settings.device == "auto" and _has_gpu())
    if settings.backend == "torch" and importlib.util.find_spec("torch") is None:
        raise BadSetting("EMBED_BACKEND=torch: torch is not installed")
    if settings.backend == "openvino" and settings.device.startswith("cuda"):
        raise BadSetting(f"EMBED_BACKEND=openvino runs on the CPU; with EMBED_DEVICE={settings.device} use torch")
    if settings.dtype == "float16" and not gpu:
        raise BadSetting("EMBED_DTYPE=float16 needs a GPU; on a CPU use auto, bfloat16 or float32")
    if settings.backend == "auto":
        return "torch" if gpu else "openvino"
    if settings.backend == "openvino" and settings.dtype == "bfloat16" and not cpu.has_bfloat16():
        raise BadSetting("EMBED_DTYPE=bfloat16: this CPU has neither AMX nor AVX512-BF16; use auto or float32")
    return settings.backend


def _has_gpu() -> bool:
    """Ask the kernel first: importing torch only to hear that there is no GPU takes seconds and 300 MB."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return False
    import torch

    return torch.cuda.is_available()
