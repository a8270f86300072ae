"""What runs the model on a CPU: this service's engine and others. Each takes a batch of token ids, gives vectors."""

import copy
import importlib
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from service import cpu
from service.engine.model import TokenIds, Vectors
from service.models import export, openvino
from service.models.artifact import Artifact, Manifest
from service.models.batches import Layout
from service.models.torch import TorchModel

Forward = Callable[[Sequence[TokenIds]], Vectors]


class Missing(Exception):
    """A contender cannot run here; the message says why."""


class Given(NamedTuple):
    """What the contenders are made of.

    Args:
        artifact: the compiled model.
        manifest: its own.
        reference: the same model in torch, float32.
        texts: token ids of texts that static quantisation looks at.
        directory: for files of contenders.
        threads: how many each uses.
    """

    artifact: Artifact
    manifest: Manifest
    reference: TorchModel
    texts: Sequence[TokenIds]
    directory: Path
    threads: int

    @classmethod
    def of(cls, artifact: Artifact, texts: Sequence[str], directory: Path) -> Self:
        """Load the reference, and compile the model unless that was done before."""
        manifest = export.ensure(artifact)
        assert isinstance(manifest, Manifest)
        reference = TorchModel(artifact.source, "cpu", "float32", cpu.cores())
        return cls(artifact, manifest, reference, reference.tokenize(texts).ids, directory, cpu.cores())

    def openvino(self, dtype: str) -> Forward:
        """Return this service's engine in a dtype."""
        _check_bfloat16(dtype)
        return openvino.load(self.artifact, self.manifest, dtype, self.threads).embed

    def openvino_int8(self) -> Forward:
        """Return the compiled model after NNCF's static quantisation of weights and activations."""
        nncf = _import("nncf")
        layout = self.manifest.layout
        batches = nncf.Dataset([list(layout.arrays([text])) for text in self.texts])
        model = openvino.runtime().Core().read_model(self.artifact.directory / "model.xml")
        kind = nncf.ModelType.TRANSFORMER
        quantised = nncf.quantize(model, batches, model_type=kind, subset_size=len(self.texts))
        return _run_openvino(compile_openvino(quantised, "float32", self.threads), layout)

    def torch(self, dtype: str) -> Forward:
        """Return the reference's modules in a dtype."""
        _check_bfloat16(dtype)
        return _run_torch(_pipeline(self.reference, dtype), self.manifest.layout)

    def compiled(self, backend: str) -> Forward:
        """Return the reference's modules in bfloat16, compiled by a backend of ``torch.compile``."""
        _check_bfloat16("bfloat16")
        if backend == "zentorch":
            _import("zentorch")
        elif not shutil.which("g++"):
            raise Missing("there is no C++ compiler")
        import torch

        pipeline: Any = torch.compile(_pipeline(self.reference, "bfloat16"), backend=backend, dynamic=True)
        return _run_torch(pipeline, self.manifest.layout)

    def onnx(self, *, int8: bool) -> Forward:
        """Return ONNX Runtime with the traced model, as it is or after dynamic quantisation."""
        runtime = _import("onnxruntime")
        path = self.directory / "model.onnx"
        if not path.exists():
            _export_onnx(self.reference, path)
        if int8:
            path, given = self.directory / "int8.onnx", path
            _import("onnxruntime.quantization").quantize_dynamic(given, path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        layout = self.manifest.layout

        def run(batch: Sequence[TokenIds]) -> Vectors:
            vectors: Vectors = session.run(None, dict(zip(layout.names, layout.arrays(batch), strict=True)))[0]
            return vectors

        return run

    def builders(self) -> dict[str, Callable[[], Forward]]:
        """Return what builds each contender; a builder raises Missing if it cannot."""
        return {
            "this engine, bfloat16": lambda: self.openvino("bfloat16"),
            "this engine, float32": lambda: self.openvino("float32"),
            "torch, float32": lambda: self.torch("float32"),
            "torch, bfloat16": lambda: self.torch("bfloat16"),
            "torch.compile, bfloat16": lambda: self.compiled("inductor"),
            "zentorch, bfloat16": lambda: self.compiled("zentorch"),
            "ONNX Runtime, float32": lambda: self.onnx(int8=False),
            "ONNX Runtime, dynamic int8": lambda: self.onnx(int8=True),
            "OpenVINO, static int8 of NNCF": self.openvino_int8,
        }


def compile_openvino(graph: object, dtype: str, threads: int, **options: object) -> Any:
    """Compile a graph as the service does, with further options."""
    given = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    precision = openvino.PRECISION[dtype]
    return openvino.runtime().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision} | given | options)


def _check_bfloat16(dtype: str) -> None:
    if dtype == "bfloat16" and not cpu.has_bfloat16():
        raise Missing("this CPU has no bfloat16")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(f"{error.name or name} is not installed") from None


def _run_openvino(compiled: Any, layout: Layout) -> Forward:
    request = compiled.create_infer_request()

    def run(batch: Sequence[TokenIds]) -> Vectors:
        request.infer(list(layout.arrays(batch)), share_inputs=True)
        vectors: Vectors = request.get_output_tensor(0).data.copy()
        return vectors

    return run


def _run_torch(pipeline: Any, layout: Layout) -> Forward:
    import torch

    def run(batch: Sequence[TokenIds]) -> Vectors:
        with torch.inference_mode():
            vectors: Vectors = pipeline(*map(torch.from_numpy, layout.arrays(batch))).float().numpy()
            return vectors

    return run


def _pipeline(reference: TorchModel, dtype: str) -> Any:
    """Return a copy of the reference's modules that takes the two arrays of a batch."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = copy.deepcopy(reference.body)

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            features = dict(zip(reference.layout.names, (first, second), strict=True))
            vectors: torch.Tensor = self.body(features)["sentence_embedding"]
            return vectors

    return Pipeline().eval().to(getattr(torch, dtype))


def _export_onnx(reference: TorchModel, path: Path) -> None:
    import torch

    names = list(reference.layout.names)
    texts = [np.full(length, 2000, np.int32) for length in (24, 24, 5)]  # with padding, or the mask would be a constant
    batch = tuple(map(torch.from_numpy, reference.layout.arrays(texts)))
    axes = {name: {0: "texts", 1: "tokens"} for name in names} | {"vectors": {0: "texts"}}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's; the cosine in the table tells what came of it
        torch.onnx.export(
            _pipeline(reference, "float32"),
            batch,
            path,
            input_names=names,
            output_names=["vectors"],
            dynamic_axes=axes,
            dynamo=False,
        )
