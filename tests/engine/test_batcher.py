import threading

import numpy as np
import pytest

from service.engine.batcher import Batcher
from service.engine.scheduler import Job
from service.errors import ModelFailed


def job(*lengths, deadline=float("inf")):
    return Job([(length,) * length for length in lengths], 1, deadline)


class Recorder:
    """Embeds a text as its length; the first batch waits for ``gate``, so that a test can fill the backlog."""

    def __init__(self):
        self.gate = threading.Event()
        self.started = threading.Event()
        self.batches = []

    def __call__(self, batch):
        self.batches.append(batch)
        self.started.set()
        self.gate.wait(10)
        if (13,) * 13 in batch:
            raise RuntimeError("unlucky")
        return np.array([[len(tokens)] for tokens in batch], np.float32)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def batcher(recorder):
    batcher = Batcher(recorder, budget=100)
    yield batcher
    recorder.gate.set()
    batcher.close()


def submitted(batcher, *jobs):
    for each in jobs:
        batcher.submit(each)
    return jobs


def test_requests_that_arrive_while_the_model_works_share_the_next_batch(batcher, recorder):
    first = job(1)
    batcher.submit(first)
    recorder.started.wait(10)
    others = submitted(batcher, job(2), job(3), job(4))
    recorder.gate.set()

    assert all(each.wait(10) for each in (first, *others))
    assert list(map(len, recorder.batches)) == [1, 3]
    assert [each.vectors.tolist() for each in others] == [[[2.0]], [[3.0]], [[4.0]]]


def test_a_text_that_occurs_twice_is_computed_once(batcher, recorder):
    recorder.gate.set()
    (twice,) = submitted(batcher, job(7, 7))

    assert twice.wait(10)
    assert recorder.batches == [[(7,) * 7]]
    assert twice.vectors.tolist() == [[7.0], [7.0]]


def test_a_failing_batch_fails_its_members_and_no_one_else(batcher, recorder, caplog):
    batcher.submit(job(1))
    recorder.started.wait(10)
    unlucky, neighbour, distant = submitted(batcher, job(13), job(12), job(60))
    recorder.gate.set()

    assert all(each.wait(10) for each in (unlucky, neighbour, distant))
    assert isinstance(unlucky.error, ModelFailed)
    assert isinstance(neighbour.error, ModelFailed)
    assert distant.error is None
    assert "RuntimeError: unlucky" in caplog.text


def test_closing_finishes_what_is_queued_and_ends_the_thread(recorder):
    batcher = Batcher(recorder, budget=100)
    queued = submitted(batcher, job(1), job(90), job(2))
    recorder.gate.set()
    batcher.close()

    assert all(each.is_done() for each in queued)
    assert not batcher.is_alive()
