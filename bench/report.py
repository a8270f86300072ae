"""Medians, tables, plots, and a description of the machine."""

import json
import platform
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.load import Measurement
from service import cpu

PACKAGES = (
    "flask",
    "gunicorn",
    "nncf",
    "numpy",
    "onnxruntime",
    "openvino",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "uwsgi",
    "uvicorn",
    "zentorch",
)


def median(runs: Iterable[Measurement]) -> Measurement:
    """Return the median of each figure and the sum of the errors."""
    *figures, errors = zip(*runs, strict=True)
    rate, texts, p50, p95, p99 = map(statistics.median, figures)
    return Measurement(rate, texts, p50, p95, p99, sum(errors))


def describe_machine() -> dict[str, Any]:
    """Return the date, the CPU, and the versions of what runs on it."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu.name(),
        "cores": cpu.cores(),
        "bfloat16": cpu.has_bfloat16(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": versions,
    }


def table(header: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def read(document: Path, name: str) -> str:
    """Return what a document has between the marks of the results ``name``.

    Raises:
        ValueError: the document does not have them.
    """
    return _split(document, name)[1].strip()


def write(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks of the results ``name`` in a document.

    Raises:
        ValueError: the document does not have them.
    """
    before, _, after = _split(document, name)
    document.write_text(f"{before}\n\n{text}\n\n{after}")


def _split(document: Path, name: str) -> tuple[str, str, str]:
    begin, end = (f"<!-- bench {name}: {each} -->" for each in ("begin", "end"))
    before, _, rest = document.read_text().partition(begin)
    text, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{document} has no lines {begin} and {end}")
    return before + begin, text, end + after


def number(value: float) -> str:
    """Format a figure with three significant digits."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def save(path: Path, results: dict[str, Any]) -> None:
    """Write the results and the machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": describe_machine(), **results}, indent=1) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Return the results that ``save`` wrote; none if there is no such file."""
    results: dict[str, Any] = json.loads(path.read_text())["results"] if path.exists() else {}
    return results


def plot(path: Path, title: str, x_label: str, y_label: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    """Plot lines over a logarithmic x axis and save a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for label, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    ticks = sorted({x for points in lines.values() for x, _ in points})
    axes.set(title=title, xlabel=x_label, ylabel=y_label, xscale="log", ylim=(0, None))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
