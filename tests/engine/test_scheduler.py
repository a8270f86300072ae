import gc
import random
import sys
import weakref
from itertools import chain, count

import numpy as np
import pytest

from service.engine.request import Entries, Request
from service.engine.scheduler import BULK_TURN, Queue, Scheduler
from tests.fakes import LIMITS, token_ids

NUMBERS = count()


def request(*lengths, deadline=float("inf"), bulk=False):
    """A request of texts of these lengths, each different from all others."""
    texts = [np.full(length, next(NUMBERS), np.int32) for length in lengths]
    return Request(texts, 1, deadline, bulk=bulk)


def equal(*lengths, bulk=False):
    """A request whose texts of equal length are equal, and so are those of other such requests."""
    return Request(token_ids(*lengths), 1, bulk=bulk)


def scheduler(max_batch_tokens, *requests):
    waiting = Scheduler(max_batch_tokens, LIMITS)
    for each in requests:
        waiting.add(Entries.of(each))
    return waiting


def batches(waiting):
    """The lengths of the batches that come out, one after the other."""
    found = []
    while batch := waiting.next_batch():
        found.append([entry.length for entry in batch])
    return found


def test_an_empty_scheduler_gives_an_empty_batch():
    assert scheduler(100).next_batch() == []


def test_texts_of_several_requests_share_a_batch():
    assert batches(scheduler(100, request(5), request(6), request(7))) == [[5, 6, 7]]


def test_a_batch_with_its_padding_stays_within_the_limit():
    found = batches(scheduler(45, request(*[10] * 7), request(20, 20)))

    assert sorted(chain.from_iterable(found)) == [10] * 7 + [20] * 2
    assert all(len(batch) * max(batch) <= 45 for batch in found)


def test_a_text_larger_than_a_batch_goes_alone():
    assert batches(scheduler(100, request(500, 3))) == [[500], [3]]


def test_texts_of_very_different_length_share_no_batch():
    assert batches(scheduler(10_000, request(4, 5, 200, 210))) == [[200, 210], [4, 5]]


def test_a_short_query_waits_for_one_large_batch_at_most():
    waiting = scheduler(1000, *[request(*[100] * 2048) for _ in range(3)])
    waiting.next_batch()
    waiting.add(Entries.of(request(5)))

    assert 5 in [waiting.next_batch()[0].length for _ in range(2)]


def test_a_short_query_shares_no_batch_with_a_large_request():
    waiting = scheduler(100, request(*[5] * 1000), request(5), request(6))

    assert [5, 6] in [[entry.length for entry in waiting.next_batch()] for _ in range(2)]


def test_large_requests_get_every_second_batch():
    waiting = scheduler(100, request(*[90] * 3), *[request(50) for _ in range(20)])

    assert [waiting.next_batch()[0].length for _ in range(6)].count(90) == 3


def test_a_request_is_large_if_its_padding_exceeds_a_batch():
    """One text of 60 tokens and four of 9 are 96 tokens, but padded they are 300: short queries pass them."""
    waiting = scheduler(100, request(60, 9, 9, 9, 9), request(9))

    assert [9] in [[entry.length for entry in waiting.next_batch()] for _ in range(2)]


def test_large_requests_take_turns():
    waiting = scheduler(100, request(*[90] * 5), request(*[40] * 50))

    assert [waiting.next_batch()[0].length for _ in range(4)] == [90, 40, 90, 40]


def test_every_second_turn_is_the_next_deadlines():
    late, soon = request(*[90] * 9, deadline=2e9), request(*[50] * 9, deadline=1e9)
    waiting = scheduler(100, late, request(*[70] * 9), soon)

    assert [waiting.next_batch()[0].length for _ in range(6)].count(50) == 3


def test_bulk_work_waits_for_other_requests():
    waiting = scheduler(100, request(*[50] * 20, bulk=True), request(*[90] * 3), request(60))

    assert sorted(batches(waiting)[:4]) == [[60], [90], [90], [90]]


def test_bulk_work_does_not_starve():
    waiting = scheduler(100, request(50, bulk=True), *[request(90) for _ in range(100)])

    assert 50 in [waiting.next_batch()[0].length for _ in range(BULK_TURN)]


def test_waiting_tokens_are_counted_in_two_classes():
    leaving = request(10)
    waiting = scheduler(100, leaving, request(20, 30), request(*[40] * 5), request(50, bulk=True))
    waiting.cancel(leaving)

    assert waiting.tokens() == (50, 250)
    batches(waiting)
    assert waiting.tokens() == (0, 0)


def test_a_request_past_its_deadline_is_dropped():
    assert batches(scheduler(100, request(5, deadline=0.0), request(6))) == [[6]]


def test_what_waits_of_a_cancelled_request_is_dropped():
    cancelled = request(5, 6)
    waiting = scheduler(100, cancelled, request(7))
    waiting.cancel(cancelled)

    assert batches(waiting) == [[7]]
    assert not waiting


def test_a_request_that_left_is_freed_at_once():
    """A reference cycle would keep its token ids and vectors until the next full garbage collection."""
    cancelled = request(*range(1, 200))
    waiting, watched = scheduler(50, cancelled), weakref.ref(cancelled)
    waiting.next_batch()
    gc.disable()
    try:
        waiting.cancel(cancelled)
        del cancelled
        assert watched() is None
    finally:
        gc.enable()


class SortedList:
    """The order that the queue must keep, as plainly as it can be written: one list, sorted by length and arrival."""

    def __init__(self):
        self.entries, self.turns, self.serial = [], [], 0

    def add(self, request):
        for position in sorted(range(len(request.token_ids)), key=lambda i: -len(request.token_ids[i])):
            self.entries.append((len(request.token_ids[position]), self.serial, request, position))
            self.serial += 1
        self.entries.sort(key=lambda entry: entry[:2])
        self.turns.append(request)

    def cancel(self, request):
        self.entries = [entry for entry in self.entries if entry[2] is not request]
        self.turns = [each for each in self.turns if each is not request]

    def next_batch(self, most):
        if not self.turns:
            return []
        first = self.turns.pop(0)
        self.turns.append(first)
        own = [entry for entry in self.entries if entry[2] is first]
        start = self.entries.index(min(own, key=lambda entry: (-entry[0], entry[1])))
        stop = start + 1
        while start and self.fit(start - 1, stop, most):
            start -= 1
        while stop < len(self.entries) and self.fit(start, stop + 1, most):
            stop += 1
        batch = self.entries[start:stop]
        del self.entries[start:stop]
        waiting = {entry[2] for entry in self.entries}
        self.turns = [each for each in self.turns if each in waiting]
        return [(entry[2], entry[3]) for entry in batch]

    def fit(self, start, stop, most):
        shortest, longest = self.entries[start][0], self.entries[stop - 1][0]
        return (stop - start) * longest <= most and LIMITS.allow(shortest, longest)


@pytest.mark.parametrize("seed", range(30))
def test_batches_are_those_of_a_sorted_list(seed):
    choose = random.Random(seed)
    queue, plain, requests = Queue(LIMITS), SortedList(), []
    for _ in range(200):
        action = choose.random()
        if action < 0.4:
            requests.append(request(*(choose.randint(1, choose.choice([9, 60])) for _ in range(choose.randint(1, 20)))))
            queue.add(Entries.of(requests[-1]))
            plain.add(requests[-1])
        elif action < 0.5 and requests:
            gone = choose.choice(requests)
            queue.cancel(gone)
            plain.cancel(gone)
        else:
            batch = [(entry.request, entry.position) for entry in queue.next_batch(100)]
            assert batch == plain.next_batch(100)


def calls(act):
    """Count the Python function calls that ``act`` makes."""
    count = 0

    def count_call(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(count_call)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("operation", ["add", "cancel"])
def test_the_cost_of_an_entry_does_not_grow_with_the_queue(operation):
    def cost(waiting_texts):
        queue, mine = Queue(LIMITS), request(*range(1, 65))
        queue.add(Entries.of(request(*[length % 64 + 1 for length in range(waiting_texts)])))
        entries = Entries.of(mine)
        if operation == "add":
            return calls(lambda: queue.add(entries))
        queue.add(entries)
        return calls(lambda: queue.cancel(mine))

    assert cost(20_000) == cost(200)


def test_equal_texts_leave_together_and_take_no_room():
    waiting = scheduler(100, equal(*[50] * 2048), request(49), equal(50, 48))

    assert [len(batch) for batch in batches(waiting)] == [2050, 1]


def test_equal_texts_of_other_queues_leave_with_the_batch():
    waiting = scheduler(100, equal(9), equal(*[90] * 3, 9), equal(9, bulk=True))

    assert sorted(batches(waiting)) == [[9, 9, 9], [90, 90, 90]]


def test_equal_texts_wait_as_the_tokens_of_one():
    waiting = scheduler(100, equal(*[90] * 7, 80), equal(90, 90, 90, 70))

    assert waiting.tokens() == (0, 90 + 80 + 70)


def test_what_one_request_cancels_another_still_gets():
    first, second = equal(9, 9), equal(9, 9)
    waiting = scheduler(100, first, second)
    waiting.cancel(first)

    assert [entry.request for entry in waiting.next_batch()] == [second, second]
    assert waiting.tokens() == (0, 0)
    assert not waiting


def test_every_text_leaves_once_whatever_is_cancelled():
    chance = random.Random(5)
    for _ in range(200):
        requests = [equal(*chance.choices([3, 4, 5, 30, 31, 90], k=chance.randrange(1, 9))) for _ in range(6)]
        waiting = scheduler(100, *requests)
        gone = chance.sample(requests, 2)
        for each in gone:
            waiting.cancel(each)
        found = list(chain.from_iterable(iter(waiting.next_batch, [])))

        assert len({(entry.request, entry.position) for entry in found}) == len(found)
        assert len(found) == sum(len(each.token_ids) for each in requests if each not in gone)
        assert (waiting.tokens(), bool(waiting)) == ((0, 0), False)
