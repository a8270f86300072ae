"""From a sentence-transformers model to an artifact: traced, compiled, and compared with the reference before use.

torch is needed for this and for nothing after it, so it runs in a process of its own (``child.py``).
"""

import errno
import importlib.util
import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from service import cpu
from service.errors import ModelUnusable, first_line, has_run_out
from service.models import accuracy, cache, child, digests, files, fingerprint, kind
from service.models.artifact import Artifact, Manifest, Probes, Stale, Unsupported
from service.models.openvino import LEAST_COSINE, OpenVinoModel, runtime
from service.models.reference import plain_attention
from service.models.reranker import LARGEST_DIFFERENCE, OpenVinoReranker, TorchReranker
from service.models.torch import TorchModel

log = logging.getLogger(__name__)

MADE_WITH = ("openvino", "sentence-transformers", "tokenizers", "torch", "transformers")

#: Less room than this is a full disk.
MIN_FREE_BYTES = 2**20


def ensure(artifact: Artifact) -> Manifest | Unsupported:
    """Return the manifest of ``artifact``, having another process build it first if it cannot be used as it is.

    Raises:
        ModelUnusable: it could not be built.
    """
    try:
        return artifact.use()
    except Stale as reason:
        if importlib.util.find_spec("torch") is None:
            raise ModelUnusable(
                f"{artifact.source.directory} has to be compiled ({reason}), and torch, which that takes, is not "
                f"installed; run `python -m service export` where it is, with the same files, into {artifact.cache}"
            ) from None
    child.run_export(artifact)
    try:
        return artifact.use()
    except Stale as reason:
        raise ModelUnusable(f"{artifact.directory} was made and still cannot be used: {reason}") from None


def export(artifact: Artifact) -> Manifest | Unsupported:
    """Build ``artifact`` in this process, unless another one builds it meanwhile, and return its manifest.

    Raises:
        ModelUnusable: the model is damaged, the cache directory cannot be written, or something ran out. The next call
            tries again.
    """
    try:
        with cache.lock(artifact):
            try:
                return artifact.use()
            except Stale as reason:
                log.info("compiling %s for the CPU: %s", artifact.source.name, reason)
            return _build(artifact)
    except OSError as error:
        raise _explain(artifact, error) from None
    except MemoryError:
        raise ModelUnusable(f"{artifact.source.directory} could not be compiled: out of memory") from None


def _explain(artifact: Artifact, error: OSError) -> ModelUnusable:
    """Say which file the error is about: the model's, the cache's or another one."""
    path = Path(os.fsdecode(error.filename)) if error.filename else artifact.cache
    if path.is_relative_to(artifact.source.directory):
        return files.explain(error)
    if not path.is_relative_to(artifact.cache):
        return ModelUnusable(f"{artifact.source.directory} could not be compiled: {path}: {error.strerror}")
    return ModelUnusable(
        f"EMBED_CACHE_DIR={artifact.cache}: {error.strerror or error}; name a directory that can be written and "
        "has room, compile ahead of time with `python -m service export`, or set EMBED_BACKEND=torch"
    )


def _build(artifact: Artifact) -> Manifest | Unsupported:
    started = time.monotonic()
    with cache.draft(artifact) as draft:
        log.info("loading the reference")
        reranks = kind.find(artifact.source.directory) == kind.RERANKER
        reference = (TorchReranker if reranks else TorchModel)(artifact.source, "cpu", "float32", cpu.cores())
        manifest = _write_files(draft, reference, _manifest(artifact, reference))
        if fingerprint.digest(artifact.source, artifact.cache) != artifact.digests:
            raise ModelUnusable(f"{artifact.source.directory} changed while it was compiled; start again")
        artifact.publish(draft, manifest)
    cache.prune(artifact)
    log.info("%s is in %s after %.0f s", artifact.source.name, artifact.directory, time.monotonic() - started)
    return manifest


def _manifest(artifact: Artifact, reference: TorchModel) -> Manifest:
    return Manifest(
        name=artifact.source.name,
        versions={package: version(package) for package in MADE_WITH},
        dimension=reference.dimension,
        pooling=reference.pooling,
        normalizes=reference.normalizes,
        prompts=reference.known_prompts,
        vocabulary_size=reference.tokenizer.vocabulary_size,
        special_tokens=reference.tokenizer.special_tokens,
        split_special_tokens=reference.tokenizer.split_special_tokens,
        equal_lengths=reference.equal_lengths,
        layout=reference.layout,
        scoring=reference.scoring if isinstance(reference, TorchReranker) else None,
        cpu=cpu.name(),
    )


def _write_files(directory: Path, reference: TorchModel, manifest: Manifest) -> Manifest | Unsupported:
    """Write the artifact's files and return its manifest; if OpenVINO cannot run the model, write none."""
    directory.mkdir()
    _write_probes(directory, reference)
    problem = Exception()
    for attention in (nullcontext, plain_attention):
        try:
            with attention(reference.pipeline):
                _convert(reference, directory / "model.xml")
            manifest = (_measure_scores if manifest.scoring else _measure_accuracy)(directory, manifest)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # tracer, converter and compiler raise what they like
            problem = error
            if has_run_out(error):
                break
        else:
            names = [path.name for path in directory.iterdir()]
            return msgspec.structs.replace(manifest, files=digests.compute(directory, names))
    return _give_up(directory, manifest, problem)


def _write_probes(directory: Path, reference: TorchModel) -> None:
    tokens = reference.tokenize(reference.probes(accuracy.COUNT)).ids
    log.info("computing %d probes of up to %d tokens with the reference", len(tokens), max(map(len, tokens)))
    expected = np.concatenate([reference.embed([each]) for each in tokens])
    (directory / "tokenizer.json").write_text(reference.tokenizer.serialized(), encoding="utf-8")
    (directory / "probes.json").write_bytes(msgspec.json.encode(Probes.of(tokens, expected)))


def _give_up(directory: Path, manifest: Manifest, error: Exception) -> Unsupported:
    """Empty ``directory`` and return why OpenVINO cannot run the model.

    Raises:
        OSError: the disk is full.
        ModelUnusable: something else ran out; another try may succeed.
    """
    if shutil.disk_usage(directory).free < MIN_FREE_BYTES:  # which OpenVINO does not say
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))
    if has_run_out(error):
        raise ModelUnusable(f"{manifest.name} could not be compiled for want of resources: {first_line(error)}")
    shutil.rmtree(directory)
    directory.mkdir()
    return Unsupported(name=manifest.name, versions=manifest.versions, reason=first_line(error))


def _convert(reference: TorchModel, path: Path) -> None:
    """Trace the pipeline, pooling included and a last Normalize not, on a batch with padding; save it in float32."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = reference.body

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return reference.forward(first, second)

    log.info("tracing and converting the graph")
    batch = reference.tokenize([accuracy.PASSAGE[:length] for length in (60, 20, 4)]).ids
    example = tuple(torch.from_numpy(array) for array in reference.layout.arrays(batch))
    with _same_logging(), warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's worries, which the comparison that follows settles
        model = runtime().convert_model(Pipeline(), example_input=example)
    runtime().save_model(model, path, compress_to_fp16=False)


@contextmanager
def _same_logging() -> Iterator[None]:
    """Undo how the converter sets the root logger: it does so itself, except after an error."""
    root = logging.getLogger()
    level, filters = root.level, list(root.filters)
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters = filters


def _measure_accuracy(directory: Path, manifest: Manifest) -> Manifest:
    """Compare with the reference in each dtype that this CPU has, through the code that will serve what was saved."""
    probes = msgspec.json.decode((directory / "probes.json").read_bytes(), type=Probes)
    cosines = {}
    for dtype in ("float32", "bfloat16") if cpu.has_bfloat16() else ("float32",):
        model = OpenVinoModel(directory, manifest, dtype, cpu.cores())
        cosines[dtype] = accuracy.least_cosine(
            model.embed, probes.token_ids(), probes.expected(), equal_lengths=manifest.equal_lengths
        )
        log.info("%s: cosine to the reference >= %.7f", dtype, cosines[dtype])
    if not cosines["float32"] >= LEAST_COSINE["float32"]:
        raise ValueError(f"the compiled model comes only to cosine {cosines['float32']:.6f} of the reference")
    return msgspec.structs.replace(manifest, cosines=cosines)


def _measure_scores(directory: Path, manifest: Manifest) -> Manifest:
    """Do the same with a model that scores pairs."""
    probes = msgspec.json.decode((directory / "probes.json").read_bytes(), type=Probes)
    differences = {}
    for dtype in ("float32", "bfloat16") if cpu.has_bfloat16() else ("float32",):
        model = OpenVinoReranker(directory, manifest, dtype, cpu.cores())
        differences[dtype] = model.measure(probes, equal_lengths=manifest.equal_lengths)
        log.info("%s: difference from the reference's scores <= %.7f deviations", dtype, differences[dtype])
    if not differences["float32"] <= LARGEST_DIFFERENCE["float32"]:
        raise ValueError(f"the compiled model differs from the reference's scores by {differences['float32']:.2g}")
    return msgspec.structs.replace(manifest, differences=differences)
