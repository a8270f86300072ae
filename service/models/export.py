"""From a sentence-transformers model to an artifact: traced, compiled, and compared with the reference before use.

torch is needed for this and for nothing after it, so it runs in a process of its own: ``python -m service export``.
"""

import fcntl
import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from service import cpu
from service.engine.model import Vectors
from service.errors import ModelUnusable
from service.models import accuracy, sources
from service.models.artifact import Artifact, Manifest, Probes
from service.models.openvino import LEAST_COSINE, OpenVinoModel, runtime
from service.models.torch import TorchModel

log = logging.getLogger(__name__)

MADE_WITH = ("openvino", "sentence-transformers", "tokenizers", "torch", "transformers")


def ensure(artifact: Artifact) -> Manifest:
    """Return the manifest of ``artifact``, having it made first by another process if it may not be used as it is.

    Raises:
        ModelUnusable: it could not be made.
    """
    manifest = artifact.manifest()
    if isinstance(manifest, str):
        if importlib.util.find_spec("torch") is None:
            raise ModelUnusable(
                f"{artifact.source.directory} has to be compiled ({manifest}), and torch, which that takes, is not "
                f"installed; run `python -m service export` where it is, with the same paths, into {artifact.cache}"
            )
        _run_export(artifact)
        manifest = artifact.manifest()
    if isinstance(manifest, str):
        raise ModelUnusable(f"{artifact.directory} was made and still cannot be used: {manifest}")
    return manifest


def export(artifact: Artifact) -> Manifest:
    """Make ``artifact`` in this process, unless another one makes it meanwhile, and return its manifest.

    Raises:
        ModelUnusable: the model is damaged, or the cache directory cannot be written.
    """
    try:
        with _lock(artifact):
            current = artifact.manifest()
            if isinstance(current, Manifest):
                return current
            log.info("compiling %s for the CPU: %s", artifact.source.name, current)
            return _build(artifact)
    except OSError as error:
        raise ModelUnusable(
            f"EMBED_CACHE_DIR={artifact.cache}: {error.strerror or error}; name a directory that can be written and "
            "has room, compile ahead of time with `python -m service export`, or set EMBED_BACKEND=torch"
        ) from None


def _run_export(artifact: Artifact) -> None:
    """Run ``python -m service export``, passing on what it logs; its last line becomes the error if it fails."""
    python = sys.executable if "python" in Path(sys.executable).name else f"{sys.prefix}/bin/python"  # or it is uWSGI
    options = {"model": artifact.source.directory, "name": artifact.source.name, "cache-dir": artifact.cache}
    command = [python, "-m", "service", "export", *(f"--{name}={value}" for name, value in options.items())]
    root = Path(__file__).parent.parent.parent
    last = ""
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=root, encoding="utf-8", errors="replace", **pipes) as process:  # noqa: S603
        assert process.stderr is not None
        for line in process.stderr:
            _relay(last)
            last = line.rstrip()
    if process.returncode:
        raise ModelUnusable(last.removeprefix("ERROR ") or f"the export ended with {process.returncode}")
    _relay(last)


def _relay(line: str) -> None:
    level, _, message = line.partition(" ")
    if level in logging.getLevelNamesMapping():
        log.log(logging.getLevelNamesMapping()[level], message)
    elif line:
        log.warning("%s", line)


@contextmanager
def _lock(artifact: Artifact) -> Iterator[None]:
    """Let one process at a time make this artifact; the kernel lets go of the lock of one that dies."""
    artifact.cache.mkdir(parents=True, exist_ok=True)
    with (artifact.cache / f".{artifact.directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(artifact: Artifact) -> Manifest:
    started = time.monotonic()
    for left in artifact.cache.glob(f".{artifact.directory.name}.draft-*"):  # by a process that died
        shutil.rmtree(left, ignore_errors=True)
    _check_room(artifact)
    with tempfile.TemporaryDirectory(dir=artifact.cache, prefix=f".{artifact.directory.name}.draft-") as draft:
        log.info("loading the reference")
        reference = TorchModel(artifact.source, "cpu", "float32", cpu.cores())
        manifest = _write_files(Path(draft) / "artifact", reference, _manifest(artifact, reference))
        artifact.publish(Path(draft) / "artifact", manifest)
    log.info("%s is in %s after %.0f s", artifact.source.name, artifact.directory, time.monotonic() - started)
    return manifest


def _check_room(artifact: Artifact) -> None:
    weights = sum((artifact.source.directory / name).stat().st_size for name in sources.files(artifact.source))
    needed, free = weights * 2 // 10**6, shutil.disk_usage(artifact.cache).free // 10**6
    if free < needed:
        raise OSError(f"{needed} MB are needed and {free} MB are free")


def _manifest(artifact: Artifact, reference: TorchModel) -> Manifest:
    return Manifest(
        name=artifact.source.name,
        source=sources.digests(artifact.source.directory, sources.files(artifact.source)),
        versions={package: version(package) for package in MADE_WITH},
        dimension=reference.dimension,
        max_length=reference.tokenizer.max_length,
        prompt=reference.tokenizer.prompt,
        special_tokens=reference.tokenizer.special_tokens,
        layout=reference.layout,
        cpu=cpu.name(),
    )


def _write_files(directory: Path, reference: TorchModel, manifest: Manifest) -> Manifest:
    """Write the artifact's files; a model that OpenVINO cannot run leaves none and a manifest that says why."""
    directory.mkdir()
    texts = accuracy.texts(manifest.max_length)
    tokens = reference.tokenize(texts)
    log.info("computing %d probes of up to %d tokens with the reference", len(texts), max(map(len, tokens)))
    expected = np.concatenate([reference.embed([each]) for each in tokens])
    (directory / "tokenizer.json").write_text(reference.tokenizer.serialized(), encoding="utf-8")
    (directory / "probes.json").write_bytes(msgspec.json.encode(Probes.of(tokens, expected)))
    try:
        log.info("tracing and converting the graph")
        _convert(reference, directory / "model.xml")
        cosines = _measure_accuracy(directory, manifest, texts, expected)
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        return msgspec.structs.replace(
            manifest, problem=f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        )
    names = [path.name for path in directory.iterdir()]
    return msgspec.structs.replace(manifest, files=sources.digests(directory, names), cosines=cosines)


def _convert(reference: TorchModel, path: Path) -> None:
    """Trace the pipeline, pooling and normalisation included, on a batch with padding, and save it in float32."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pipeline = reference.pipeline

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            features: dict[str, Any] = dict(zip(reference.layout.names, (first, second), strict=True))
            features["prompt_length"] = reference.tokenizer.prompt_tokens
            vectors: torch.Tensor = self.pipeline(features)["sentence_embedding"]
            return vectors

    batch = reference.tokenize([accuracy.PASSAGE[:length] for length in (60, 20, 4)])
    example = tuple(torch.from_numpy(array) for array in reference.layout.arrays(batch))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's worries, which the comparison that follows settles
        model = runtime().convert_model(Pipeline(), example_input=example)
    runtime().save_model(model, path, compress_to_fp16=False)


def _measure_accuracy(directory: Path, manifest: Manifest, texts: list[str], expected: Vectors) -> dict[str, float]:
    """Compare with the reference in each dtype that this CPU has, through the code that will serve what was saved."""
    cosines = {}
    for dtype in ("float32", "bfloat16") if cpu.has_bfloat16() else ("float32",):
        model = OpenVinoModel(directory, manifest, dtype, cpu.cores())
        cosines[dtype] = accuracy.least_cosine(model.embed, model.tokenize(texts), expected)
        log.info("%s: cosine to the reference >= %.7f", dtype, cosines[dtype])
    if not cosines["float32"] >= LEAST_COSINE["float32"]:
        raise ValueError(f"the compiled model comes only to cosine {cosines['float32']:.6f} of the reference")
    return cosines
