"""Compare every contender under every workload."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import contenders, lineup, load, report, texts
from bench.contenders import Contender, InProcess
from bench.load import Measurement
from bench.texts import Workload, Writer

log = logging.getLogger("bench")


def compare(model: str, write: Writer, names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Run the workloads on each contender in turn, several rounds; return medians by contender and workload."""
    with contenders.scratch_directory() as base, contextlib.ExitStack() as stack:
        running = list(_start(model, names, base, stack))
        medians = _run_rounds(running, texts.workloads(write), rounds, seconds)
        beside_bulk = {
            each.name: _measure_beside_bulk(each, write, seconds) for each in running if isinstance(each, Contender)
        }
        return {
            each.name: {
                "seconds_to_ready": each.seconds_to_ready,
                **each.memory(),
                "workloads": {name: runs._asdict() for name, runs in medians[each.name].items()},
                **({"beside_bulk": beside_bulk[each.name]} if each.name in beside_bulk else {}),
            }
            for each in running
        }


def _start(model: str, names: list[str], base: Path, stack: contextlib.ExitStack) -> Iterator[Contender | InProcess]:
    """Start contenders that ``stack`` stops; leave out those that are not installed."""
    for position, name in enumerate(names):
        try:
            contender = lineup.start(name, model, base / str(position))
            stack.push(contender)
        except FileNotFoundError as error:
            log.warning("%s is skipped: %s", name, error)
            continue
        log.info("%s: ready after %.1f s", name, contender.seconds_to_ready)
        yield contender


def _run_rounds(
    running: list[Contender | InProcess], loads: list[Workload], rounds: int, seconds: float
) -> dict[str, dict[str, Measurement]]:
    runs: dict[str, dict[str, list[Measurement]]] = {each.name: {} for each in running}
    for turn in range(rounds):
        for workload in loads:
            for each in running:
                if not _supports(each, workload):
                    continue
                run = each.measure(workload, seconds, seed=turn)
                runs[each.name].setdefault(workload.name, []).append(run)
                log.info("round %d, %s, %s: %s requests/s", turn + 1, workload.name, each.name, report.number(run[0]))
    return {name: {key: report.median(each) for key, each in row.items()} for name, row in runs.items()}


def _supports(contender: Contender | InProcess, workload: Workload) -> bool:
    if isinstance(contender, InProcess):
        return workload.encoding == "float" and not workload.pause
    if workload.name == texts.CEILING:
        return contender.name.startswith("this service")
    return contender.base64 or workload.encoding == "float"


def _measure_beside_bulk(contender: Contender, write: Writer, seconds: float) -> dict[str, float]:
    """Measure 20 short texts a second, first alone, then while one client sends 2048 documents in each request."""
    short = texts.workloads(write)[0]._replace(pause=0.05)
    idle = contender.measure(short, seconds * 2, seed=0)
    thread = threading.Thread(target=contender.measure, args=(texts.bulk(write), seconds * 6, 0))
    thread.start()
    time.sleep(seconds)
    busy = load.run(contender.url, contender.path, contender.model, short, seconds * 4)
    thread.join()
    log.info("%s: p95 of a short text %.1f ms, beside bulk %.1f ms", contender.name, idle.p95, busy.p95)
    return {"idle_p95": idle.p95, "busy_p95": busy.p95, "busy_errors": busy.errors}
