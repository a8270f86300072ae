"""The instruments of all workers, read by any process: as Prometheus's text, and as a beat for each worker."""

import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service import metrics
from service.batches.batch import Batch, Batches, Status
from service.errors import CommandFailed
from service.hosting import process, uwsgi
from service.hosting.master import Master, Worker
from service.metrics import Metrics

#: A worker that starts replaces its files: reading them once more is enough.
ATTEMPTS = 5


class Beat(NamedTuple):
    """The last sign of life of a worker."""

    age_seconds: float
    is_late: bool = False
    full_seconds: float = 0.0


class Shared(NamedTuple):
    """Collects the instruments of all workers of an instance, and the statistics of its master.

    Args:
        run_dir: the directory of the instance.
        batches: None if clients have none here.
    """

    run_dir: Path
    batches: Batches | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from _merge(directory(self.run_dir), "")
        yield from describe_workers(uwsgi.workers())
        if self.batches:
            yield from describe_batches(self.batches.every())
        with suppress(CommandFailed):  # a master that stops or is busy
            yield from describe_load(Master(self.run_dir).workers())


def open_metrics() -> Metrics:
    """Open the instruments of this process; with ``uwsgi.ini``, the workers share theirs in a directory."""
    run_dir = uwsgi.run_dir()
    shared = directory(run_dir) if run_dir else None
    return Metrics(shared if shared and shared.is_dir() else None, uwsgi.worker_number)


def read(own: Metrics, batches: Batches | None = None) -> bytes:
    """Return the metrics of all workers as text; of this process alone where it shares none."""
    return write(Shared(own.directory.parent, batches) if own.directory else own.registry)


def directory(run_dir: Path) -> Path:
    """Return where the workers leave the values of their instruments."""
    return run_dir / "metrics"


def collect_worker(run_dir: Path, number: int) -> list[Metric]:
    """Return the instruments of one worker."""
    return _merge(directory(run_dir), "", f"_{number}.db")


def beats(run_dir: Path) -> dict[int, Beat]:
    """Return the last beat of each worker that has loaded a model."""
    shown: dict[int, dict[str, float]] = {}
    for metric in _age(_merge(directory(run_dir), "gauge")):
        for sample in metric.samples:
            shown.setdefault(int(sample.labels["worker"]), {})[sample.name] = sample.value
    return {
        number: Beat(values[metrics.HEARTBEAT], bool(values[metrics.LATE]), values[metrics.FULL])
        for number, values in shown.items()
        if metrics.HEARTBEAT in values
    }


def write(collector: Collector | Shared) -> bytes:
    """Return the metrics as text."""
    registry = CollectorRegistry()
    registry.register(Aged(collector))
    return generate_latest(registry)


class Aged(Collector):
    """A collector whose times of a heartbeat have become ages."""

    def __init__(self, collector: Collector | Shared) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        """Yield every metric."""
        return _age(self._collector.collect())

    def describe(self) -> Iterable[Metric]:
        """Name none: the registry need not look for duplicates."""
        return []


def _age(collected: Iterable[Metric]) -> Iterator[Metric]:
    now = time.monotonic()
    for metric in collected:
        if metric.name == metrics.HEARTBEAT:
            metric.samples = [each._replace(value=max(0.0, now - each.value)) for each in metric.samples]
        yield metric


def _merge(directory: Path, kind: str, end: str = "") -> list[Metric]:
    """Add up the files of the workers; those whose name begins with ``kind`` and ends with ``end``."""
    for _ in range(ATTEMPTS):
        try:
            files = [file for file in directory.glob(f"{kind}*{end}") if file.stat().st_size]
            return list(MultiProcessCollector.merge(map(str, files)))  # type: ignore[no-untyped-call]
        except (OSError, struct.error, RuntimeError):  # replaced while it was read
            time.sleep(0.01)
    return []


def describe_workers(workers: list[uwsgi.Worker]) -> Iterator[Metric]:
    """Yield what uWSGI's shared memory and the kernel know of the workers."""
    memory = GaugeMetricFamily(
        "embeddings_worker_memory_bytes", "Resident memory of a worker, shared files included.", labels=["worker"]
    )
    for worker in workers:
        if resident := process.resident_bytes(worker.pid):
            memory.add_metric([str(worker.number)], resident)
    yield memory
    starts = sum(worker.starts for worker in workers)
    yield CounterMetricFamily(
        "embeddings_worker_starts", "Times that a worker was started, reloads included.", value=starts
    )
    ready = sum(worker.is_loaded for worker in workers)
    yield GaugeMetricFamily("embeddings_workers_ready", "Workers that have loaded their model.", value=ready)
    yield GaugeMetricFamily("embeddings_workers", "Workers that there should be.", value=len(workers))


def describe_batches(batches: Sequence[Batch]) -> Iterator[Metric]:
    """Yield how many batches are kept, and how far their requests are."""
    found = Counter(batch.status for batch in batches)
    statuses = GaugeMetricFamily("embeddings_batches", "Batches of clients that are kept.", labels=["status"])
    for status in get_args(Status):
        statuses.add_metric([status], found[status])
    yield statuses
    counts = [(batch.request_counts, batch.is_live) for batch in batches]
    requests = GaugeMetricFamily("embeddings_batch_requests", "Requests of these batches.", labels=["state"])
    requests.add_metric(["completed"], sum(each.completed for each, _ in counts))
    requests.add_metric(["failed"], sum(each.failed for each, _ in counts))
    waiting = sum(each.total - each.completed - each.failed for each, is_live in counts if is_live)
    requests.add_metric(["waiting"], waiting)
    yield requests


def describe_load(workers: list[Worker]) -> Iterator[Metric]:
    """Yield what the master knows: it sees requests before the app does."""
    held = sum(core.in_request for worker in workers for core in worker.cores)
    own = 1 if uwsgi.worker_id() else 0  # the request that asks
    yield GaugeMetricFamily(
        "embeddings_requests_in_flight", "Requests that the workers hold, waiting or computed.", value=held - own
    )
