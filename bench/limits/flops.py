"""Floating-point operations: how many a forward of a BERT needs, and how many this CPU does in a second."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Rows and columns of the matrices that are multiplied: larger ones gain nothing, smaller ones lose.
SIZE = 1024


def of_forward(directory: Path, texts: int, length: int) -> float:
    """Return the operations of a batch of this shape: two for each weight of a layer and token, and attention."""
    config = json.loads((directory / "config.json").read_text())
    width: int = config["hidden_size"]
    weights: int = 4 * width * width + 2 * width * config["intermediate_size"]
    attention = 2 * length * width  # queries by keys, and their products by values
    layers: int = config["num_hidden_layers"]
    return 2.0 * texts * length * layers * (weights + attention)


def multiplications() -> dict[str, Callable[[], object]]:
    """Return what multiplies two square matrices, by dtype and library."""
    import torch

    floats = torch.randn(2, SIZE, SIZE)
    halves = floats.bfloat16()
    left, right = np.asarray(floats[0]), np.asarray(floats[1])
    bytes_: Any = torch.randint(-128, 127, (2, SIZE, SIZE), dtype=torch.int8)
    return {
        "bfloat16, oneDNN": lambda: torch.mm(halves[0], halves[1]),
        "float32, torch": lambda: torch.mm(floats[0], floats[1]),
        "float32, OpenBLAS": lambda: left @ right,
        "int8, torch": lambda: torch._int_mm(bytes_[0], bytes_[1]),  # noqa: SLF001  # there is no public one
    }


def measure(multiply: Callable[[], object], repeats: int = 3) -> float:
    """Return the most operations a second that a multiplication came to."""
    multiply()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - started)
    return 2 * SIZE**3 / min(times)
