"""Scaling by clients, texts in a request, tokens in a text, and workers: the figures and a plot of each."""

import logging
import random
from pathlib import Path
from typing import Any

from bench import contenders, lineup, report, texts
from bench.load import Measurement
from bench.texts import Workload, Writer

log = logging.getLogger("bench")


def grow(model: str, write: Writer, rounds: int, seconds: float, longest: int) -> dict[str, Any]:
    """Measure every curve; return ``{curve: {x: medians}}``. ``longest`` is the model's longest text in tokens."""
    rng = random.Random(9)
    loads = {load.name: load for load in texts.workloads(write)}
    short = loads["q1"]
    clients = [short._replace(name=str(n), clients=n) for n in (1, 2, 4, 8, 16, 32, 64, 128, 256)]
    batches = [
        Workload(
            str(n),
            "",
            [[texts.query(rng, write) for _ in range(n)] for _ in range(max(2, 512 // n))],
            1,
            longer=1 + n // 256,
        )
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
    ]
    lengths = [
        Workload(str(n), "", [[texts.query(rng, write, n - 4)] for _ in range(200)], 8)
        for n in (8, 16, 32, 64, 128, 256, 512)
        if n <= longest
    ]
    return {
        "clients": measure(model, clients, rounds, seconds),
        "batch": measure(model, batches, rounds, seconds),
        "length": measure(model, lengths, rounds, seconds),
        "workers": {
            n: measure(model, [loads["q32"], loads["d8"]], rounds, seconds, EMBED_WORKERS=str(n)) for n in (1, 2, 3, 4)
        },
    }


def draw(results: dict[str, Any], directory: Path, name: str) -> None:
    """Plot the curves of one model."""
    clients, batch, length, workers = (results[key] for key in ("clients", "batch", "length", "workers"))
    one = "one short text a request"
    latency = {"p50": _select_points(clients, 2), "p99": _select_points(clients, 4)}
    tokens = [(float(n), float(n) * run[1]) for n, run in length.items()]
    base = {kind: workers[1][kind][0] for kind in ("q32", "d8")}
    gains = {
        title: [(n, row[kind][0] / base[kind]) for n, row in workers.items()]
        for kind, title in (("q32", "one short text, 32 clients"), ("d8", "32 documents, 8 clients"))
        if base[kind]  # a slow model may finish no request of documents
    }
    for kind, title, x, y, curves in (
        ("clients", one, "clients", "requests a second", {"": _select_points(clients, 0)}),
        ("latency", one, "clients", "milliseconds", latency),
        ("batch", "short texts in one request, 1 client", "texts", "texts a second", {"": _select_points(batch, 1)}),
        ("length", "one text a request, 8 clients", "tokens of a text", "tokens a second", {"": tokens}),
        ("workers", "against one worker", "workers", "times as many requests a second", gains),
    ):
        report.plot(directory / f"{name}-{kind}.png", title, x, y, curves)


def measure(model: str, loads: list[Workload], rounds: int, seconds: float, **env: str) -> dict[str, Measurement]:
    """Run the workloads on this service behind nginx, several rounds; return the medians by name."""
    runs: dict[str, list[Measurement]] = {load.name: [] for load in loads}
    with (
        contenders.scratch_directory() as base,
        lineup.start(lineup.BEHIND_NGINX, model, base / "run", **env) as server,
    ):
        server.measure(loads[0], 1, seed=0)
        for turn in range(rounds):
            for load in loads:
                runs[load.name].append(server.measure(load, seconds, seed=turn))
                log.info("%s %s: %s requests/s", env or "", load.name, report.number(runs[load.name][-1][0]))
    return {name: report.median(each) for name, each in runs.items()}


def _select_points(curve: dict[str, Measurement], field: int) -> list[tuple[float, float]]:
    return [(int(x), run[field]) for x, run in curve.items()]
