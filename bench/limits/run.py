"""The measurements: contenders and multiplications in interleaved rounds, and the engine's own profile."""

import contextlib
import logging
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import contenders, report, texts
from bench.limits import flops
from bench.limits.forwards import Forward, Given, Missing, compile_openvino
from service import cpu
from service.engine.model import TokenIds
from service.errors import first_line
from service.models import accuracy, cache, sources
from service.models.artifact import Artifact

log = logging.getLogger("bench")

#: Texts in a batch, and tokens of each.
SHAPES = [(1, 13), (8, 13), (32, 13), (8, 70), (4, 128), (2, 256)]

#: What quantisation looks at, and what vectors are compared on.
CALIBRATION_TEXTS, COMPARED_TEXTS = 300, 8

#: Before a measurement: thread pools of other contenders spin for some milliseconds.
REST_SECONDS = 0.02

#: Profiled forwards of a shape in each round.
PROFILED_RUNS = 10

#: The nodes of OpenVINO's graph by kind; those that are not named here move data.
KINDS = {
    "FullyConnected": "matmul",
    "MatMul": "matmul",
    "Subgraph": "attention",
    "ScaledDotProductAttention": "attention",
    **dict.fromkeys(("MVN", "Add", "Multiply", "MulAdd", "Gelu"), "norm and elementwise"),
}


def run(model: Path, rounds: int, only: Sequence[str] = ("",)) -> dict[str, Any]:
    """Measure contenders whose names contain one of ``only``, in interleaved rounds; return all by this CPU's name."""
    load = os.getloadavg()[0]
    with contenders.scratch_directory() as directory:
        artifact = Artifact(sources.find(str(model)), cache.locate("~/.cache/uwsgi-embeddings"))
        workload = texts.workloads()
        some = [text for body in workload[4].texts for text in body][:CALIBRATION_TEXTS]
        given = Given.of(artifact, some, directory)
        running, failures, cosines = _build(given, only)
        multiplications, peak_failures = _check(flops.multiplications())
        peaks, seconds = _run_rounds(running, multiplications, rounds)
        dtype = "bfloat16" if cpu.has_bfloat16() else "float32"
        parts = _profile(given, dtype, rounds)
    return {
        cpu.name(): {
            "machine": report.describe_machine(),
            "load_average": load,
            "rounds": rounds,
            "peak_gflops": peaks,
            "gflop": {name_of(shape): flops.of_forward(model, *shape) / 1e9 for shape in SHAPES},
            "seconds": seconds,
            "cosines": cosines,
            "parts": parts,
            "failures": failures,
            "peak_failures": peak_failures,
        }
    }


def name_of(shape: tuple[int, int]) -> str:
    """Return how results name a shape."""
    return f"{shape[0]} x {shape[1]}"


def _batch(shape: tuple[int, int]) -> list[TokenIds]:
    return list(np.random.default_rng(7).integers(1000, 20_000, shape).astype(np.int32))


def _build(given: Given, only: Sequence[str]) -> tuple[dict[str, Forward], dict[str, str], dict[str, float]]:
    """Build the contenders; return those that run, why others do not, and the least cosine of each to the reference."""
    compared = given.texts[:COMPARED_TEXTS]
    expected = given.reference.embed(compared)
    running, failures, cosines = {}, {}, {}
    for name, build in given.builders().items():
        if not any(part in name for part in only):
            continue
        started = time.monotonic()
        try:
            with _quiet():
                forward = build()
            cosines[name] = float(accuracy.cosines(forward(compared), expected).min())
            for shape in SHAPES:
                forward(_batch(shape))
        except Missing as reason:
            failures[name] = str(reason)
        except Exception as error:  # noqa: BLE001  # tracers and compilers raise what they like
            failures[name] = f"{type(error).__name__}: {first_line(error)}"
        else:
            running[name] = forward
        log.info("%s: %s, %.1f s", name, failures.get(name, "runs"), time.monotonic() - started)
    return running, failures, cosines


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep lines about every node out of the log, and progress bars away from the table."""
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _check(multiplications: dict[str, Callable[[], object]]) -> tuple[dict[str, Callable[[], object]], dict[str, str]]:
    """Return those that run, and why others do not."""
    working, failures = {}, {}
    for name, multiply in multiplications.items():
        try:
            multiply()
            working[name] = multiply
        except (RuntimeError, AttributeError) as error:
            failures[name] = first_line(error)
    return working, failures


def _run_rounds(
    running: dict[str, Forward], multiplications: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the highest GFLOP/s of each multiplication, and the median seconds of each contender and shape."""
    peaks = dict.fromkeys(multiplications, 0.0)
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in running}
    for turn in range(rounds):
        for name, multiply in multiplications.items():
            time.sleep(REST_SECONDS)
            peaks[name] = max(peaks[name], flops.measure(multiply) / 1e9)
        for shape in SHAPES:
            batch = _batch(shape)
            for name, forward in running.items():
                time.sleep(REST_SECONDS)
                times[name][name_of(shape)].append(_time(forward, batch))
        log.info("round %d of %d", turn + 1, rounds)
    return peaks, {name: {shape: statistics.median(each) for shape, each in row.items()} for name, row in times.items()}


def _time(forward: Forward, batch: Sequence[TokenIds]) -> float:
    """Return the seconds of a forward, the mean of as many as make 200 tokens."""
    repeats = max(1, 200 // (len(batch) * len(batch[0])))
    forward(batch)
    started = time.perf_counter()
    for _ in range(repeats):
        forward(batch)
    return (time.perf_counter() - started) / repeats


def _profile(given: Given, dtype: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return by shape the mean milliseconds of each kind of node, and of what is outside of the nodes."""
    graph = given.artifact.directory / "model.xml"
    profiles = {}
    for shape in SHAPES:
        # OpenVINO gives the means over all that a compiled model ever ran.
        request = compile_openvino(graph, dtype, given.threads, PERF_COUNT=True).create_infer_request()
        arrays = list(given.manifest.layout.arrays(_batch(shape)))
        runs = PROFILED_RUNS * rounds
        started = time.perf_counter()
        for _ in range(runs):
            request.infer(arrays, share_inputs=True)
        whole = (time.perf_counter() - started) * 1000 / runs
        kinds = dict.fromkeys([*KINDS.values(), "moving data"], 0.0)
        for node in request.profiling_info:
            kinds[KINDS.get(node.node_type, "moving data")] += node.real_time.total_seconds() * 1000
        profiles[name_of(shape)] = kinds | {"outside of the nodes": whole - sum(kinds.values())}
    return profiles
