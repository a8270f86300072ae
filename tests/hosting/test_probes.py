"""Which state of the workers is alive, and which is ready."""

import pytest

from service.hosting.probes import judge_liveness, judge_readiness
from service.hosting.scrape import Beat
from service.hosting.uwsgi import Worker

LOADED, LOADING = Worker(1, 10, is_loaded=True, starts=1), Worker(1, 10, is_loaded=False, starts=1)


@pytest.mark.parametrize(
    ("worker", "beat", "word", "sentence"),
    [
        (LOADED, Beat(0.2), "ready", "worker 1 answers requests"),
        (LOADED, None, "ready", "worker 1 answers requests"),  # it could share no metrics
        (LOADING, None, "loading", "worker 1 is loading the model"),
        (LOADING, Beat(0.2), "loading", "worker 1 is loading the model"),  # the beat of the worker before it
        (LOADED, Beat(7.2), "silent", "worker 1 has given no sign of life for 7 seconds"),
        (LOADED, Beat(0.2, is_late=True), "late", "worker 1 has a batch that takes more than half of its time"),
        (LOADED, Beat(0.2, full_seconds=20), "ready", "worker 1 answers requests"),
        (LOADED, Beat(0.2, full_seconds=40), "full", "the queue of worker 1 has been full for 40 seconds"),
    ],
)
def test_readiness_has_a_reason(worker, beat, word, sentence):
    assert judge_readiness([worker], {1: beat} if beat else {}, is_stopping=False) == (word, sentence)


def test_one_worker_that_answers_is_enough():
    workers = [LOADING, Worker(2, 20, is_loaded=True, starts=1)]

    assert judge_readiness(workers, {2: Beat(0.1)}, is_stopping=False).is_good


def test_an_instance_that_stops_is_not_ready():
    assert judge_readiness([LOADED], {1: Beat(0.1)}, is_stopping=True).word == "stopping"


@pytest.mark.parametrize(
    ("worker", "beat", "word"),
    [
        (LOADED, Beat(0.2, is_late=True, full_seconds=99), "alive"),
        (LOADED, Beat(30), "alive"),
        (LOADED, Beat(61), "silent"),
        (LOADING, Beat(9999), "alive"),
        (LOADED, None, "alive"),
    ],
)
def test_only_a_worker_that_hangs_is_not_alive(worker, beat, word):
    assert judge_liveness([worker], {1: beat} if beat else {}).word == word
