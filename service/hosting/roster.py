"""The state of an instance for the page: its processes, what each worker does, and what they counted together."""

import http.client
import json
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from service.errors import CommandFailed
from service.hosting import probes, process, scrape, steps, uwsgi
from service.hosting.master import Master
from service.hosting.uwsgi import Worker
from service.metrics import Metrics

#: The path at which the monitor answers with it, as the app does.
PATH = "/web/state"

MONITOR_SECONDS = 2.0

#: The series that the page needs, and their names in its JSON.
SERIES = {
    "embeddings_tokens_total": "tokens",
    "embeddings_refusals_total": "refusals",
    "embeddings_batch_tokens_count": "batches",
    "embeddings_batch_tokens_sum": "batch_tokens",
    "embeddings_queue_tokens": "queue_tokens",
    "embeddings_request_seconds_count": "requests",
}

#: Routes that supervisors and the page itself ask; they would hide how long embeddings take.
QUIET = {"/", "/ping", "/livez", "/readyz", "/health", "/metrics", "/docs", "/openapi.json", "other"}


def read(own: Metrics) -> bytes:
    """Return the state as JSON: from the monitor, so that the work is not done in a process that has a model.

    Without uWSGI's master this process is all that is known.
    """
    run_dir = uwsgi.run_dir()
    if run_dir is None:
        alone = Worker(1, os.getpid(), is_loaded=True, starts=1)
        return json.dumps(describe(None, [alone], {1: own.registry.collect()})).encode()
    return _ask_monitor(run_dir / "monitor") or write(run_dir)


def write(run_dir: Path, monitor: int = 0) -> bytes:
    """Return the state of the instance in ``run_dir`` as JSON; ``monitor`` is the pid of its monitor."""
    workers = uwsgi.workers()
    counted = {worker.number: scrape.collect_worker(run_dir, worker.number) for worker in workers}
    return json.dumps(describe(run_dir, workers, counted, monitor)).encode()


def describe(
    run_dir: Path | None, workers: list[Worker], counted: Mapping[int, Iterable[Metric]], monitor: int = 0
) -> dict[str, Any]:
    """Return the state: times in seconds by the clock of ``steps``, counts since the instance started."""
    beats = scrape.beats(run_dir) if run_dir else {}
    held = _in_flight(run_dir)
    seconds: Counter[str] = Counter()
    rows = []
    for worker in workers:
        state = probes.judge(worker, beats.get(worker.number))
        rows.append(
            {
                "number": worker.number,
                "state": state.word,
                "reason": state.sentence,
                "starts": worker.starts,
                "in_flight": held.get(worker.number),
                "steps": steps.read(run_dir, worker.number, worker.pid),
                **_look(worker.pid),
                **tally(counted[worker.number], seconds),
            }
        )
    others = {"master": uwsgi.master_pid(), "monitor": monitor}
    return {
        "now": round(steps.now(), 3),
        **{role: _look(pid) for role, pid in others.items() if pid},
        "workers": rows,
        "seconds": seconds,
    }


def tally(metrics: Iterable[Metric], seconds: Counter[str]) -> dict[str, float]:
    """Return the sums of one worker's series, and add its requests to ``seconds``, by the bounds of their buckets."""
    sums = dict.fromkeys(SERIES.values(), 0.0)
    for sample in (sample for metric in metrics for sample in metric.samples):
        route = sample.labels.get("route", "")
        if route in QUIET or route.startswith(("/web/", "/docs/")):
            continue
        if sample.name in SERIES:
            sums[SERIES[sample.name]] += sample.value
        elif sample.name == "embeddings_request_seconds_bucket":
            seconds[sample.labels["le"]] += int(sample.value)
    return sums


def _look(pid: int) -> dict[str, Any]:
    """Return what the kernel knows of a process."""
    held = process.held(pid)
    return {
        "pid": pid,
        "started": process.started(pid),
        "memory": process.resident_bytes(pid),
        "holds": held._asdict() if held else None,
    }


def _in_flight(run_dir: Path | None) -> dict[int, int]:
    if run_dir:
        with suppress(CommandFailed):  # a master that stops or is busy
            return {each.id: sum(core.in_request for core in each.cores) for each in Master(run_dir).workers()}
    return {}


def _ask_monitor(path: Path) -> bytes:
    """Return the monitor's answer; b"" if it does not answer."""
    connection = http.client.HTTPConnection("monitor")
    with suppress(OSError, http.client.HTTPException), socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(MONITOR_SECONDS)
        connected.connect(str(path))
        connection.sock = connected
        connection.request("GET", PATH)
        answer = connection.getresponse()
        if answer.status == 200:
            return answer.read()
    return b""
