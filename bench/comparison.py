"""Every contender under every workload, interleaved: the table."""

import logging
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench import contenders, load, report, texts
from bench.contenders import INFINITY, Contender, InProcess
from bench.load import Measured
from bench.texts import Workload, Writer

log = logging.getLogger("bench")


def compare(model: str, write: Writer, names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Start the contenders, run the workloads in turn, several rounds, and return medians by contender and workload."""
    base = Path(tempfile.mkdtemp(prefix="bench-"))
    base.chmod(0o755)  # nginx's workers may be another user's
    running: list[Contender | InProcess] = []
    try:
        for position, name in enumerate(names):
            if name.startswith("Infinity") and not INFINITY.exists():
                log.warning("%s is left out: %s does not exist", name, INFINITY)
                continue
            running.append(contenders.start(name, model, base / str(position)))
            log.info("%s: ready after %.1f s", name, running[-1].seconds_to_ready)
        measured = _rounds(running, texts.workloads(write), rounds, seconds)
        beside = {each.name: _beside_bulk(each, write, seconds) for each in running if isinstance(each, Contender)}
        return {
            each.name: {
                "seconds_to_ready": each.seconds_to_ready,
                **each.memory(),
                "workloads": {name: runs._asdict() for name, runs in measured[each.name].items()},
                **({"beside_bulk": beside[each.name]} if each.name in beside else {}),
            }
            for each in running
        }
    finally:
        for each in running:
            each.close()
        shutil.rmtree(base)


def tables(results: dict[str, Any]) -> str:
    """Return the results as Markdown: speed, latency, and what a server costs."""
    loads = texts.workloads()
    first = next(iter(results.values()))["workloads"]
    shown = [each for each in loads if each.name in first]
    speed = [
        [name, *(_cell(each.name, row["workloads"].get(each.name)) for each in shown)] for name, row in results.items()
    ]
    costs = [
        [
            name,
            report.number(row["seconds_to_ready"]),
            str(row["Rss"]),
            str(row["Pss"]),
            " -> ".join(_p95(row["beside_bulk"][key]) for key in ("idle_p95", "busy_p95"))
            if "beside_bulk" in row
            else "",
        ]
        for name, row in results.items()
    ]
    return "\n\n".join(
        [
            "Requests a second; p50 / p99 in milliseconds; errors where there were any.",
            report.table(["", *(each.title for each in shown)], speed),
            report.table(
                ["", "seconds to ready", "RSS MB", "PSS MB", "p95 ms of a short text, idle -> beside bulk"], costs
            ),
        ]
    )


def _rounds(
    running: list[Contender | InProcess], loads: list[Workload], rounds: int, seconds: float
) -> dict[str, dict[str, Measured]]:
    runs: dict[str, dict[str, list[Measured]]] = {each.name: {} for each in running}
    for turn in range(rounds):
        for workload in loads:
            for each in running:
                if not _suits(each, workload):
                    continue
                run = each.measure(workload, seconds, seed=turn)
                runs[each.name].setdefault(workload.name, []).append(run)
                log.info("round %d, %s, %s: %s requests/s", turn + 1, workload.name, each.name, report.number(run[0]))
    return {name: {key: report.median(all_) for key, all_ in row.items()} for name, row in runs.items()}


def _suits(contender: Contender | InProcess, workload: Workload) -> bool:
    if isinstance(contender, InProcess):
        return workload.encoding == "float" and not workload.pause
    if workload.name == texts.CEILING:
        return contender.name.startswith("this service")
    return contender.base64 or workload.encoding == "float"


def _beside_bulk(contender: Contender, write: Writer, seconds: float) -> dict[str, float]:
    """Measure short texts, 20 a second, on an idle server and while one client sends 2048 documents at a time."""
    short = texts.workloads(write)[0]._replace(pause=0.05)
    idle = contender.measure(short, seconds * 2, seed=0)
    thread = threading.Thread(target=contender.measure, args=(texts.bulk(write), seconds * 6, 0))
    thread.start()
    time.sleep(seconds)
    busy = load.run(contender.url, contender.path, "m", short, seconds * 4)
    thread.join()
    log.info("%s: p95 of a short text %.1f ms, beside bulk %.1f ms", contender.name, idle.p95, busy.p95)
    return {"idle_p95": idle.p95, "busy_p95": busy.p95, "busy_errors": busy.errors}


def _p95(milliseconds: float) -> str:
    return report.number(milliseconds) if milliseconds else "none answered"


def _cell(name: str, run: dict[str, float] | None) -> str:
    if run is None:
        return ""
    rate = run["texts_per_second" if name == texts.CEILING else "requests_per_second"]
    cell = f"**{report.number(rate)}** {report.number(run['p50'])} / {report.number(run['p99'])}"
    return cell + (f" ({run['errors']:.0f} errors)" if run["errors"] else "")
