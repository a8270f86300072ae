"""Counts every request of an app, also those that the framework refuses."""

import time
from functools import partial

from flask import Flask, Response, request

from service.api import exchange
from service.api.exchange import STEPS
from service.metrics import Metrics


def register(app: Flask, metrics: Metrics) -> None:
    """Count the requests of ``app``; the exchange of a request must have ended its last step by then."""
    app.after_request(partial(_count, metrics))


def _count(metrics: Metrics, answer: Response) -> Response:
    known = exchange.current()
    if "serialize" in known.seconds:
        metrics.count_embeddings(known.fields["tokens"], *(known.seconds[step] for step in STEPS))
    route = request.url_rule.rule if request.url_rule else "other"  # a path may be anything
    metrics.count_request(route, answer.status_code, time.monotonic() - known.started)
    return answer
