import gc
import threading
import weakref
from contextlib import suppress

import numpy as np
import pytest

from service.engine.batcher import Batcher, log
from service.engine.meter import Meter
from service.engine.request import Request
from service.errors import ModelFailed
from tests.fakes import LIMITS, token_ids


def request(*lengths):
    return Request(token_ids(*lengths), 1)


class Recorder:
    """Embeds a text as its length; the first batch waits for ``gate``, so that a test can fill the queue."""

    def __init__(self):
        self.gate = threading.Event()
        self.started = threading.Event()
        self.batches = []

    def __call__(self, batch):
        self.batches.append([len(each) for each in batch])
        self.started.set()
        self.gate.wait(60)
        if any(len(each) == 13 for each in batch):
            raise RuntimeError("unlucky")
        return np.array([[len(tokens)] for tokens in batch], np.float32)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def batcher(recorder):
    batcher = Batcher(recorder, 100, LIMITS, Meter())
    yield batcher
    recorder.gate.set()
    batcher.close()


def submit(batcher, *requests):
    for each in requests:
        batcher.submit(each)
    return requests


def test_requests_that_wait_share_the_next_batch(batcher, recorder):
    first = request(1)
    batcher.submit(first)
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


def test_a_failing_batch_fails_its_members_and_no_one_else(batcher, recorder, caplog):
    batcher.submit(request(1))
    recorder.started.wait(60)
    unlucky, neighbour, distant = submit(batcher, request(13), request(12), request(60))
    recorder.gate.set()

    assert all(each.wait(60) for each in (unlucky, neighbour, distant))
    for failed in (unlucky, neighbour):
        with pytest.raises(ModelFailed):
            failed.raise_error()
    distant.raise_error()
    assert "RuntimeError: unlucky" in caplog.text


def test_closing_finishes_what_is_queued_and_ends_the_thread(recorder):
    batcher = Batcher(recorder, 100, LIMITS, Meter())
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
