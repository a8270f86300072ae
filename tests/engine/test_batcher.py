import gc
import threading
import time
import weakref
from contextlib import suppress

import numpy as np
import pytest

from service.engine.batcher import Batcher, log
from service.engine.host import Host
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.request import Request
from service.errors import ModelFailed
from tests.fakes import FakeModel, token_ids


def request(*lengths):
    return Request(token_ids(*lengths), 1)


class Recorder(FakeModel):
    """Embeds a text as its length; the first batch waits for ``gate``, so that a test can fill the queue.

    A batch with a text of 13 tokens fails, and one of more than 50 tokens runs out of memory.
    """

    dimension = 1

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.started = threading.Event()
        self.trims = 0

    def embed(self, batch):
        self.batches.append([len(each) for each in batch])
        self.started.set()
        self.gate.wait(60)
        if any(len(each) == 13 for each in batch):
            raise RuntimeError("unlucky")
        if len(batch) > 1 and sum(map(len, batch)) > 50:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return np.array([[len(tokens)] for tokens in batch], np.float32)

    def trim(self):
        self.trims += 1


def start(*models):
    """A batcher with a lane for each model; the first model's host."""
    lanes = [Lane(model, Limits()) for model in models]
    return Batcher(lanes, Meter(), Host(pytest.fail, models[0].trim))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def batcher(recorder, monkeypatch):
    monkeypatch.setattr("service.engine.batcher.REST_SECONDS", 3600)
    batcher = start(recorder)
    yield batcher
    recorder.gate.set()
    batcher.close()


def submit(batcher, *requests, lane=0):
    for each in requests:
        batcher.submit(batcher._lanes[lane], each)
    return requests


def test_requests_that_wait_share_the_next_batch(batcher, recorder):
    first = request(1)
    submit(batcher, first)
    recorder.started.wait(60)
    others = submit(batcher, request(2), request(3), request(4))
    recorder.gate.set()

    assert all(each.wait(60) for each in (first, *others))
    assert list(map(len, recorder.batches)) == [1, 3]
    assert [each.vectors.tolist() for each in others] == [[[2.0]], [[3.0]], [[4.0]]]


def test_a_text_that_occurs_twice_is_computed_once(batcher, recorder):
    recorder.gate.set()
    (twice,) = submit(batcher, request(7, 7))

    assert twice.wait(60)
    assert recorder.batches == [[7]]
    assert twice.vectors.tolist() == [[7.0], [7.0]]


def test_a_text_that_is_being_computed_is_not_computed_again(batcher, recorder):
    (first,) = submit(batcher, request(7))
    recorder.started.wait(60)
    equal, more = submit(batcher, request(7, 7), request(8, 7))
    recorder.gate.set()

    assert all(each.wait(60) for each in (first, equal, more))
    assert recorder.batches == [[7], [8]]
    assert [each.vectors.tolist() for each in (equal, more)] == [[[7.0], [7.0]], [[8.0], [7.0]]]


def test_a_request_given_up_does_not_take_equal_ones_along(batcher, recorder):
    (first,) = submit(batcher, request(7))
    recorder.started.wait(60)
    others = submit(batcher, request(7), request(8, 7))
    batcher.cancel(batcher._lanes[0], first)
    batcher.cancel(batcher._lanes[0], others[1])
    recorder.gate.set()

    assert others[0].wait(60)
    assert others[0].vectors.tolist() == [[7.0]]
    assert recorder.batches == [[7]]


def test_a_text_that_fails_costs_those_that_joined_it(batcher, recorder):
    (first,) = submit(batcher, request(13, 12))
    recorder.started.wait(60)
    unlucky, lucky, late = submit(batcher, request(13, 9), request(12), request(8))
    recorder.gate.set()

    assert all(each.wait(60) for each in (first, unlucky, lucky, late))
    with pytest.raises(ModelFailed):
        unlucky.raise_error()
    assert [each.vectors.tolist() for each in (lucky, late)] == [[[12.0]], [[8.0]]]


def test_a_text_on_which_the_model_fails_costs_its_own_request(batcher, recorder):
    submit(batcher, request(1))
    recorder.started.wait(60)
    unlucky, *others = submit(batcher, request(13), request(12), request(14), request(16, 15))
    recorder.gate.set()

    assert all(each.wait(60) for each in (unlucky, *others))
    with pytest.raises(ModelFailed):
        unlucky.raise_error()
    assert [each.vectors.tolist() for each in others] == [[[12.0]], [[14.0]], [[16.0], [15.0]]]


def test_a_batch_that_runs_out_of_memory_is_computed_in_parts(batcher, recorder):
    submit(batcher, request(1))
    recorder.started.wait(60)
    (large,) = submit(batcher, request(20, 21, 22, 23))
    recorder.gate.set()

    assert large.wait(60)
    assert large.vectors.tolist() == [[20.0], [21.0], [22.0], [23.0]]
    assert [len(batch) for batch in recorder.batches] == [1, 4, 2, 2]
    assert recorder.freed
    assert recorder.trims == 1


def test_a_batcher_without_work_returns_memory_once(recorder, monkeypatch):
    monkeypatch.setattr("service.engine.batcher.REST_SECONDS", 0.01)
    recorder.gate.set()
    batcher = start(recorder)
    while not recorder.trims:
        time.sleep(0.01)
    (late,) = submit(batcher, request(5))

    assert late.wait(60)
    batcher.close()


def test_the_failure_of_a_text_is_logged_with_its_reason(batcher, recorder, caplog):
    recorder.gate.set()
    (unlucky,) = submit(batcher, request(13))

    assert unlucky.wait(60)
    assert "RuntimeError: unlucky" in caplog.text


def test_closing_finishes_what_is_queued_and_ends_the_thread(recorder):
    batcher = start(recorder)
    queued = submit(batcher, request(1), request(90), request(2))
    recorder.gate.set()
    batcher.close()

    assert all(each.wait(0) for each in queued)
    assert not batcher.is_alive()


def test_a_failed_request_is_freed_with_its_error(batcher, recorder, monkeypatch):
    """A reference cycle would keep its token ids and vectors until the next full garbage collection."""
    monkeypatch.setattr(log, "disabled", True)  # pytest keeps the record, and with it the traceback
    recorder.gate.set()
    (failed,) = submit(batcher, request(13, 90, 90))
    gc.disable()
    try:
        assert failed.wait(60)
        with suppress(ModelFailed):
            failed.raise_error()
        watched = weakref.ref(failed)
        del failed
        submit(batcher, last := request(1))
        assert last.wait(60)
        assert watched() is None
    finally:
        gc.enable()


def test_a_request_without_texts_is_done_at_once(batcher):
    (empty,) = submit(batcher, request())

    assert empty.wait(0)
    assert batcher.is_alive()


class Timed(Recorder):
    """A batch is one text, and takes so many seconds of a clock that all share."""

    max_batch_tokens = 10
    clock = 0.0
    order: list[str] = []  # noqa: RUF012  # each test has its own

    def __init__(self, name, seconds):
        super().__init__()
        self.name, self.seconds = name, seconds

    def embed(self, batch):
        self.gate.wait(60)
        Timed.clock += self.seconds
        Timed.order.append(self.name)
        return np.zeros((len(batch), 1), np.float32)


@pytest.fixture
def timed(monkeypatch):
    """A batcher with a fast model and one that takes three times as long; both wait for the gate."""
    monkeypatch.setattr(Timed, "order", [])
    models = Timed("fast", 1.0), Timed("slow", 3.0)
    models[1].gate = models[0].gate
    batcher = start(*models)
    monkeypatch.setattr("service.engine.batcher.time.monotonic", lambda: Timed.clock)
    yield batcher
    models[0].gate.set()
    batcher.close()


def compute(batcher, *waiting):
    """Let all batches be computed; return the models in the order of their turns."""
    batcher._lanes[0].model.gate.set()
    assert all(each.wait(60) for each in waiting)
    return Timed.order


def test_models_take_turns_by_time_not_by_batches(timed):
    fast = submit(timed, *(request(10 + i) for i in range(9)))
    slow = submit(timed, *(request(10 + i) for i in range(3)), lane=1)
    order = compute(timed, *fast, *slow)

    assert order == ["fast", "slow", *["fast"] * 3, "slow", *["fast"] * 3, "slow", *["fast"] * 2]


def test_a_model_that_was_idle_has_no_time_left_over(timed):
    timed._lanes[0].model.gate.set()
    assert all(each.wait(60) for each in submit(timed, *(request(10 + i) for i in range(9))))
    timed._lanes[0].model.gate.clear()
    Timed.order.clear()
    fast = submit(timed, *(request(10 + i) for i in range(4)))
    slow = submit(timed, *(request(10 + i) for i in range(4)), lane=1)
    order = compute(timed, *fast, *slow)

    assert order[:3].count("slow") == 1
