import threading
from itertools import chain

import numpy as np
import pytest

from service.batching import Backlog, Batcher, Job
from service.errors import ModelFailed, RequestError


def job(*lengths, deadline=float("inf")):
    return Job([(length,) * length for length in lengths], 1, deadline)


def backlog(*jobs):
    waiting = Backlog()
    for each in jobs:
        waiting.add(each)
    return waiting


def drawn(waiting, budget):
    """The lengths of the batches that come out, one after the other."""
    batches = []
    while batch := waiting.draw(budget):
        batches.append([text.length for text in batch])
    return batches


def test_an_empty_backlog_gives_an_empty_batch():
    assert Backlog().draw(100) == []


def test_texts_of_several_requests_share_a_batch():
    assert drawn(backlog(job(5), job(6), job(7)), 100) == [[5, 6, 7]]


def test_a_batch_with_its_padding_stays_within_the_budget():
    waiting = backlog(job(*[10] * 7), job(20, 20))

    batches = drawn(waiting, 45)

    assert sorted(chain.from_iterable(batches)) == [10] * 7 + [20] * 2
    assert all(len(batch) * max(batch) <= 45 for batch in batches)


def test_a_text_larger_than_the_budget_goes_alone():
    assert drawn(backlog(job(500, 3)), 100) == [[500], [3]]


def test_texts_of_very_different_length_do_not_share_a_batch():
    assert drawn(backlog(job(4, 5, 200, 210)), 10_000) == [[200, 210], [4, 5]]


def test_a_short_query_waits_for_one_batch_only_however_large_the_other_request():
    waiting = backlog(job(*[100] * 2048))
    waiting.draw(1000)
    waiting.add(job(5))

    leads = [waiting.draw(1000)[0].length for _ in range(2)]

    assert 5 in leads


def test_a_long_text_is_not_starved_by_short_ones():
    waiting = backlog(job(500))
    waiting.add(job(*[5] * 1000))

    assert waiting.draw(100)[0].length == 500


def test_a_job_past_its_deadline_is_dropped():
    assert drawn(backlog(job(5, deadline=0.0), job(6)), 100) == [[6]]


def test_what_a_failed_job_still_waits_for_is_dropped():
    failed = job(5, 6)
    waiting = backlog(failed, job(7))
    failed.fail(RequestError("given up"))

    assert drawn(waiting, 100) == [[7]]


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

    assert all(each.done.wait(10) for each in (first, *others))
    assert list(map(len, recorder.batches)) == [1, 3]
    assert [each.vectors.tolist() for each in others] == [[[2.0]], [[3.0]], [[4.0]]]


def test_a_text_that_occurs_twice_is_computed_once(batcher, recorder):
    recorder.gate.set()
    (twice,) = submitted(batcher, job(7, 7))

    assert twice.done.wait(10)
    assert recorder.batches == [[(7,) * 7]]
    assert twice.vectors.tolist() == [[7.0], [7.0]]


def test_a_failing_batch_fails_its_members_and_no_one_else(batcher, recorder, caplog):
    batcher.submit(job(1))
    recorder.started.wait(10)
    unlucky, neighbour, distant = submitted(batcher, job(13), job(12), job(60))
    recorder.gate.set()

    assert all(each.done.wait(10) for each in (unlucky, neighbour, distant))
    assert isinstance(unlucky.error, ModelFailed)
    assert isinstance(neighbour.error, ModelFailed)
    assert distant.error is None
    assert "RuntimeError: unlucky" in caplog.text


def test_closing_finishes_what_is_queued_and_ends_the_thread(recorder):
    batcher = Batcher(recorder, budget=100)
    queued = submitted(batcher, job(1), job(90), job(2))
    recorder.gate.set()
    batcher.close()

    assert all(each.done.is_set() for each in queued)
    assert not batcher.is_alive()
