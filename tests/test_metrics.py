"""What the instruments count, alone and shared with the workers of one instance."""

import os
import time

import pytest
from prometheus_client import values

from service import metrics
from service.hosting import scrape
from service.metrics import Metrics


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # what _share sets ends with the test
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    (tmp_path / "metrics").mkdir()
    return tmp_path / "metrics"


def start(directory, number=1):
    """Open the instruments of a worker as its process does."""
    opened = Metrics(directory, lambda: number)
    return opened, opened.serve({"minilm": "c0ffee"})


def shown(directory, name, **labels):
    """The value of a series, of all workers."""
    found = [
        sample.value
        for metric in scrape._age(scrape._merge(directory, ""))
        for sample in metric.samples
        if sample.name == name and sample.labels == labels
    ]
    return found[0] if found else None


def test_counters_of_workers_are_added_up(directory):
    for number in (1, 2):
        start(directory, number)[0].count_request("/embed", 200, 0.01)

    labels = {"route": "/embed", "status": "200", "model": "minilm"}
    assert shown(directory, "embeddings_requests_total", **labels) == 2
    assert shown(directory, "embeddings_request_seconds_count", route="/embed") == 2


def test_a_worker_that_is_replaced_goes_on_counting(directory):
    """In the files of the worker before it."""
    files = []
    for _ in range(3):
        start(directory)[1].count_refusal("deadline")
        files.append({file.name: file.stat().st_size for file in directory.iterdir()})

    assert shown(directory, "embeddings_refusals_total", reason="deadline") == 3
    assert files[0] == files[1] == files[2]


def test_a_worker_that_starts_forgets_what_waited_in_the_last_one(directory):
    meter = start(directory)[1]
    meter.show_queue("minilm", 5000, 9.0)
    meter.beat(is_late=True)
    start(directory)

    assert shown(directory, "embeddings_queue_tokens", worker="1", model="minilm") == 0
    assert scrape.beats(directory.parent)[1].is_late is False


def test_each_worker_shows_its_own_queue(directory):
    for number in (1, 2):
        start(directory, number)[1].show_queue("minilm", number * 10, 0.5)

    labels = [{"worker": str(n), "model": "minilm"} for n in (1, 2)]
    assert [shown(directory, "embeddings_queue_tokens", **each) for each in labels] == [10, 20]
    assert shown(directory, "embeddings_queue_age_seconds", **labels[0]) == 0.5


def test_a_batch_shows_its_padding(directory):
    start(directory)[1].count_batch(4, 100, 120, 0.01)

    assert shown(directory, "embeddings_padding_tokens_total") == 20
    assert shown(directory, "embeddings_batch_texts_bucket", le="4.0") == 1
    assert shown(directory, "embeddings_batch_tokens_sum") == 100


def test_a_beat_becomes_an_age(directory):
    start(directory)[1].beat(is_late=False)
    (beat,) = scrape.beats(directory.parent).values()

    assert 0 <= beat.age_seconds < 60
    assert shown(directory, metrics.HEARTBEAT, worker="1") < 60


def test_a_queue_that_refuses_is_full_until_it_refuses_no_more(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    opened, meter = start(None)
    full = []
    for refuses in (True, True, True, False, False, False, True):
        if refuses:
            meter.count_refusal("queue_full")
        meter.beat(is_late=False)
        full.append(opened.registry.get_sample_value(metrics.FULL, {"worker": "1"}))
        clock[0] += 1.5

    assert full == [0, 1.5, 3, 4.5, 0, 0, 0]


def test_a_disk_without_room_costs_no_worker(directory, monkeypatch, caplog):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    opened, _ = start(directory)
    opened.count_request("/embed", 200, 0.01)

    assert opened.directory is None
    assert "No space left on device; each worker counts alone" in caplog.text
    assert b"embeddings_requests_total" in scrape.read(opened)


@pytest.mark.parametrize("name", ["it's [1] *", "日本"])
def test_the_directory_may_have_any_name(directory, name):
    other = directory / name / "metrics"
    other.mkdir(parents=True)
    start(other)[1].count_refusal("deadline")

    assert shown(other, "embeddings_refusals_total", reason="deadline") == 1


def test_a_file_that_is_being_made_spoils_no_scrape(directory):
    start(directory)[1].count_refusal("deadline")
    (directory / "counter_2.db").touch()

    assert shown(directory, "embeddings_refusals_total", reason="deadline") == 1


def test_a_forked_process_counts_with_instruments_of_its_own():
    forked = Metrics()
    first, second = (forked.serve({"minilm": "c0ffee"}) for _ in range(2))
    first.count_refusal("deadline")
    second.count_refusal("deadline")

    assert forked.registry.get_sample_value("embeddings_refusals_total", {"reason": "deadline"}) == 1
