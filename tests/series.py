"""The names of the series that the service exports."""

from service.hosting import scrape
from service.metrics import Metrics

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def _collect():
    own = Metrics()
    own.serve({"model": None})
    yield from own.registry.collect()
    yield from scrape.describe_workers([])
    yield from scrape.describe_load([])
    yield from scrape.describe_batches([])


SERIES = {metric.name + suffix for metric in _collect() for suffix in SUFFIXES[metric.type]}
