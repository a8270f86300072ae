"""The Prometheus instruments: how the work of this process is counted, and where other processes can read it."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

from service.engine.meter import Meter

log = logging.getLogger(__name__)

#: Of Prometheus's text format.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: ``hosting.scrape`` looks for these. The first holds a time of CLOCK_MONOTONIC, which all processes share and
#: nobody sets, until ``hosting.scrape`` makes it an age.
HEARTBEAT = "embeddings_heartbeat_age_seconds"
LATE = "embeddings_batch_late"
FULL = "embeddings_queue_full_seconds"

#: A queue that has refused nothing for so long is no longer full.
FULL_SECONDS = 2.0

#: Allocated before use: on a full disk, a write into a mapped file would end the process (SIGBUS).
FILE_BYTES = 2**18

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
PHASE_BUCKETS = (0.0001, 0.00025, 0.0005, *REQUEST_BUCKETS)
TEXT_BUCKETS = tuple(2**i for i in range(12))
TOKEN_BUCKETS = tuple(2**i for i in range(4, 18))


class Metrics:
    """The instruments of a process; any thread may call each method.

    Args:
        directory: where the processes of a server leave their values for each other; None keeps them in this process.
        number: returns the number of this worker. A new worker of the same number goes on with the files of the old
            one, so that counters never fall and files never become more.
    """

    def __init__(self, directory: Path | None = None, number: Callable[[], int] = lambda: 1) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.directory = _share(directory, number) if directory else None
        self.number = number
        self._model = ""
        self._requests = self._counter("requests_total", "Requests that were answered.", "route", "status", "model")
        self._seconds = self._histogram(
            "request_seconds", "Seconds from a request's headers to its answer.", REQUEST_BUCKETS, "route"
        )
        phases = self._histogram(
            "request_phase_seconds",
            "Seconds of an answered request: tokenize, queue (before its first batch), forward, serialize.",
            PHASE_BUCKETS,
            "phase",
        )
        self._phases = [phases.labels(phase) for phase in ("tokenize", "queue", "forward", "serialize")]
        self._tokens = self._counter("tokens_total", "Tokens of the texts in answered requests.", "model")
        self._truncated = self._counter("truncated_texts_total", "Texts that were cut to the model's length.", "model")
        self._engine: CollectorRegistry | None = None
        self._known: dict[tuple[str, int, str | None], tuple[Counter, Histogram]] = {}

    def serve(self, models: Mapping[str, str | None]) -> "MetricsMeter":
        """Name the models that this process serves, each with its revision; return the meter for their engines."""
        self._known.clear()
        self._model = next(iter(models)) if len(models) == 1 else ""
        if self._engine is not None:  # of the process that forked this one
            self.registry.unregister(self._engine)
        self._engine = CollectorRegistry()
        self.registry.register(self._engine)
        return MetricsMeter(self._engine, self.number(), models)

    def count_request(self, route: str, status: int, seconds: float, model: str | None = None) -> None:
        """Count a request; ``route`` is the rule, not the path.

        One that reached no ``model`` counts for the one that is served, and for none if there are several.
        """
        known = self._known.get((route, status, model))
        if known is None:
            requests = self._requests.labels(route, str(status), self._model if model is None else model)
            known = self._known[route, status, model] = requests, self._seconds.labels(route)
        known[0].inc()
        known[1].observe(seconds)

    def count_embeddings(self, model: str, tokens: int, truncated: int, *phases: float) -> None:
        """Count an answer with embeddings, its cut texts, and its seconds: tokenize, queue, forward, serialize."""
        self._tokens.labels(model).inc(tokens)
        if truncated:
            self._truncated.labels(model).inc(truncated)
        for histogram, seconds in zip(self._phases, phases, strict=True):
            histogram.observe(seconds)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"embeddings_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"embeddings_{name}", meaning, labels, buckets=buckets, registry=self.registry)


class MetricsMeter(Meter):
    """Exports the work of the engines of a process.

    Args:
        registry: takes the instruments.
        worker: the number of this worker.
        models: their names, each with its commit, if it has one.
    """

    def __init__(self, registry: CollectorRegistry, worker: int, models: Mapping[str, str | None]) -> None:
        self._registry = registry
        self._worker = str(worker)
        self._texts = self._histogram("batch_texts", "Texts in a batch.", TEXT_BUCKETS)
        self._batch_tokens = self._histogram("batch_tokens", "Tokens in a batch, without padding.", TOKEN_BUCKETS)
        self._batch_seconds = self._histogram("batch_seconds", "Seconds that a batch took.", REQUEST_BUCKETS)
        self._padding = Counter("embeddings_padding_tokens_total", "Tokens of padding.", registry=self._registry)
        self._refusals = Counter(
            "embeddings_refusals_total", "Requests that were refused or given up.", ("reason",), registry=self._registry
        )
        hits = Counter(
            "embeddings_cache_hits_total", "Texts that were answered from the cache.", ("model",), registry=registry
        )
        misses = Counter(
            "embeddings_cache_misses_total", "Texts that were not in the cache.", ("model",), registry=registry
        )
        self._lookups = {model: (hits.labels(model), misses.labels(model)) for model in models}
        tokens = self._gauge("embeddings_queue_tokens", "Tokens that wait for a batch.", "model")
        age = self._gauge("embeddings_queue_age_seconds", "Age of the oldest request that waits.", "model")
        self._queues = {
            model: (tokens.labels(self._worker, model), age.labels(self._worker, model)) for model in models
        }
        self._full = self._gauge(FULL, "Seconds for which the queue has been refusing requests.").labels(self._worker)
        late = self._gauge(LATE, "1 if the present batch has used more than half of its time.")
        self._late = late.labels(self._worker)
        beat = self._gauge(HEARTBEAT, "Seconds since the worker's last sign of life; it gives four a second.")
        self._beat = beat.labels(self._worker)
        info = self._gauge("embeddings_model_info", "The models that the worker serves.", "model", "revision")
        for model, revision in models.items():
            info.labels(self._worker, model, revision or "").set(1)
        self._full_since = self._refused = float("-inf")
        self._beat.set(time.monotonic())

    def count_batch(self, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """Count a computed batch."""
        self._texts.observe(texts)
        self._batch_tokens.observe(tokens)
        self._batch_seconds.observe(seconds)
        self._padding.inc(padded_tokens - tokens)

    def count_refusal(self, reason: str) -> None:
        """Count a refused request."""
        self._refusals.labels(reason).inc()
        if reason == "queue_full":
            now = time.monotonic()
            if now - self._refused > FULL_SECONDS:
                self._full_since = now
            self._refused = now

    def count_lookups(self, model: str, hits: int, misses: int) -> None:
        """Count texts that were looked up in the cache."""
        for counter, texts in zip(self._lookups[model], (hits, misses), strict=True):
            counter.inc(texts)

    def show_queue(self, model: str, tokens: int, oldest_seconds: float) -> None:
        """Show what waits for a model."""
        waiting, age = self._queues[model]
        waiting.set(tokens)
        age.set(oldest_seconds)

    def beat(self, *, is_late: bool) -> None:
        """Show that this worker lives."""
        now = time.monotonic()
        self._full.set(now - self._full_since if now - self._refused <= FULL_SECONDS else 0)
        self._late.set(is_late)
        self._beat.set(now)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"embeddings_{name}", meaning, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Return a gauge of this worker; the mode adds nothing, since no other worker has its label."""
        return Gauge(name, meaning, ("worker", *labels), multiprocess_mode="max", registry=self._registry)


def _share(directory: Path, number: Callable[[], int]) -> Path | None:
    """Have the instruments write to files of this worker; return None if the disk has no room for them."""
    try:
        with suppress(FileNotFoundError):
            (directory / f"gauge_max_{number()}.db").unlink()  # it tells of a worker that is gone
        for kind in ("counter", "histogram", "gauge_max"):
            _allocate(directory / f"{kind}_{number()}.db")
    except OSError as error:
        log.warning("%s: %s; each worker counts alone, and its counters end with it", directory, error.strerror)
        return None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.ValueClass = values.MultiProcessValue(number)  # type: ignore[no-untyped-call]
    return directory


def _allocate(file: Path) -> None:
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, FILE_BYTES)
