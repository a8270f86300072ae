"""The state of an instance, from files and processes that the test made."""

import os
from collections import Counter

from prometheus_client.core import CounterMetricFamily

from service.hosting import process, roster, steps
from service.hosting.uwsgi import Worker

OURS = Worker(1, os.getpid(), is_loaded=True, starts=3)


def counted(route, count):
    requests = CounterMetricFamily("embeddings_request_seconds", "", labels=["route", "le"])
    requests.add_sample("embeddings_request_seconds_bucket", {"route": route, "le": "+Inf"}, count)
    requests.add_sample("embeddings_request_seconds_count", {"route": route}, count)
    return requests


def test_a_worker_is_described_with_what_the_kernel_knows(tmp_path):
    (worker,) = roster.describe(tmp_path, [OURS], {1: []})["workers"]

    assert (worker["pid"], worker["starts"], worker["state"]) == (os.getpid(), 3, "ready")
    assert 0 < worker["started"] < steps.now()
    assert worker["memory"] > 2**20
    assert worker["holds"].keys() == {"app", "model", "device"}


def test_a_worker_without_a_process_is_loading(tmp_path):
    (worker,) = roster.describe(tmp_path, [Worker(1, 0, is_loaded=False, starts=1)], {1: []})["workers"]

    assert (worker["state"], worker["started"], worker["memory"], worker["holds"]) == ("loading", None, 0, None)


def test_requests_of_supervisors_and_of_the_page_are_not_counted():
    seconds = Counter()
    metrics = [counted(route, 2) for route in ("/v1/embeddings", "/embed", "/readyz", "/web/state", "/docs/<digest>")]

    assert roster.tally(metrics, seconds)["requests"] == 4
    assert seconds == {"+Inf": 4}


def test_steps_of_a_process_that_is_gone_are_not_shown(tmp_path):
    (tmp_path / "start.1").write_text('{"began": 1.5, "pid": 7}')

    assert steps.read(tmp_path, 1, 7) == {"began": 1.5}
    assert steps.read(tmp_path, 1, 8) == steps.read(tmp_path, 2, 7) == {}


def test_a_process_that_has_ended_holds_nothing():
    assert (process.held(2**22), process.started(2**22), process.resident_bytes(2**22)) == (None, None, 0)
