from itertools import chain

from service.engine.scheduler import Backlog, Job
from service.errors import RequestError


def job(*lengths, deadline=float("inf")):
    return Job([(length,) * length for length in lengths], 1, deadline)


def backlog(budget, *jobs):
    waiting = Backlog(budget)
    for each in jobs:
        waiting.add(each)
    return waiting


def drawn(waiting):
    """The lengths of the batches that come out, one after the other."""
    batches = []
    while batch := waiting.draw():
        batches.append([text.length for text in batch])
    return batches


def test_an_empty_backlog_gives_an_empty_batch():
    assert Backlog(100).draw() == []


def test_texts_of_several_requests_share_a_batch():
    assert drawn(backlog(100, job(5), job(6), job(7))) == [[5, 6, 7]]


def test_a_batch_with_its_padding_stays_within_the_budget():
    batches = drawn(backlog(45, job(*[10] * 7), job(20, 20)))

    assert sorted(chain.from_iterable(batches)) == [10] * 7 + [20] * 2
    assert all(len(batch) * max(batch) <= 45 for batch in batches)


def test_a_text_larger_than_the_budget_goes_alone():
    assert drawn(backlog(100, job(500, 3))) == [[500], [3]]


def test_texts_of_very_different_length_do_not_share_a_batch():
    assert drawn(backlog(10_000, job(4, 5, 200, 210))) == [[200, 210], [4, 5]]


def test_a_short_query_waits_for_one_batch_only_however_many_large_requests_wait():
    waiting = backlog(1000, *[job(*[100] * 2048) for _ in range(3)])
    waiting.draw()
    waiting.add(job(5))

    assert 5 in [waiting.draw()[0].length for _ in range(2)]


def test_a_short_querys_batch_holds_no_texts_of_a_large_request():
    waiting = backlog(100, job(*[5] * 1000))
    waiting.add(job(5))
    waiting.add(job(6))

    assert [text.length for text in max((waiting.draw() for _ in range(2)), key=lambda batch: batch[-1].length)] == [
        5,
        6,
    ]


def test_large_requests_get_every_second_batch_however_many_short_ones_wait():
    waiting = backlog(100, job(*[90] * 3), *[job(50) for _ in range(20)])

    assert [waiting.draw()[0].length for _ in range(6)].count(90) == 3


def test_large_requests_lead_in_turn():
    waiting = backlog(100, job(*[90] * 5), job(*[40] * 50))

    assert [waiting.draw()[0].length for _ in range(4)] == [90, 40, 90, 40]


def test_a_job_past_its_deadline_is_dropped():
    assert drawn(backlog(100, job(5, deadline=0.0), job(6))) == [[6]]


def test_what_a_failed_job_still_waits_for_is_dropped():
    failed = job(5, 6)
    waiting = backlog(100, failed, job(7))
    failed.give_up(RequestError("given up"))

    assert drawn(waiting) == [[7]]
