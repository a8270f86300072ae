"""Throughput and latency of the torch backend on one CUDA card, and of a plain ``encode`` loop."""

import logging
import subprocess
from typing import Any

from bench import contenders, growth, texts
from bench.texts import Workload, Writer

log = logging.getLogger("bench")


def measure(model: str, write: Writer, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure each dtype with 1, 2 and 4 workers; needs a CUDA device and a torch built for it."""
    loads = [load for load in texts.workloads(write) if load.name in {"q1", "q32", "q256", "d1", "d8"}]
    results: dict[str, Any] = {
        "card": _query_nvidia_smi("name,driver_version,memory.total"),
        "encode": _measure_encode(model, loads, seconds),
    }
    for dtype in ("float32", "float16"):
        for workers in (1, 2, 4):
            log.info("%s, %d workers", dtype, workers)
            results[f"{dtype}, {workers} workers"] = growth.measure(
                model, loads, rounds, seconds, EMBED_DEVICE="cuda", EMBED_DTYPE=dtype, EMBED_WORKERS=str(workers)
            ) | {"memory": _query_nvidia_smi("memory.used")}
    return results


def _measure_encode(model: str, loads: list[Workload], seconds: float) -> dict[str, Any]:
    with contenders.InProcess("encode", "encode", BENCH_MODEL=model) as loop:
        return {load.name: loop.measure(load, seconds, seed=0) for load in loads}


def _query_nvidia_smi(fields: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
