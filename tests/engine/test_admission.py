import time

import pytest

from service.engine.admission import MAX_RETRY_SECONDS, Admission
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.errors import DeadlinePassed, Overloaded


class FakeBacklog:
    """So many tokens wait, at 100 a second."""

    def __init__(self, small=0, others=0, rate=100.0):
        self.waiting = (small, others)
        self.rate = rate

    def waiting_tokens(self):
        return self.waiting

    def tokens_per_second(self):
        return self.rate


class Refusals(Meter):
    def __init__(self):
        self.reasons = []

    def count_refusal(self, reason):
        self.reasons.append(reason)


@pytest.fixture
def refusals():
    return Refusals()


@pytest.fixture
def admission(refusals, monkeypatch):
    """Builds an admission before a backlog; meanwhile no time passes."""
    now = time.monotonic()
    monkeypatch.setattr("service.engine.admission.time.monotonic", lambda: now)

    def build(small=0, others=0, beside=(), **limits):
        return Admission([FakeBacklog(small, others), *beside], Limits(**limits), refusals)

    return build


def admit(admission, tokens, seconds, *, small=True):
    with prepare(admission, tokens, seconds, small=small):
        pass


def prepare(admission, tokens, seconds, *, small=True):
    return admission.preparing(next(iter(admission._backlogs)), tokens, time.monotonic() + seconds, small=small)


def test_an_idle_server_takes_a_request_of_any_size(admission):
    admit(admission(max_queue_tokens=10), 1_000_000, 1)


def test_a_request_beyond_the_queue_is_refused(admission, refusals):
    with pytest.raises(Overloaded):
        admit(admission(small=500, max_queue_tokens=1000), 501, 1000)
    assert refusals.reasons == ["queue_full"]


def test_a_request_that_would_be_late_is_refused(admission, refusals):
    with pytest.raises(Overloaded):
        admit(admission(small=500), 100, 10)
    assert refusals.reasons == ["too_late"]


def test_a_request_with_time_enough_is_let_in(admission):
    admit(admission(small=500), 100, 20)


def test_a_request_whose_time_is_over_is_told_so(admission, refusals):
    with pytest.raises(DeadlinePassed):
        admit(admission(), 1, -1)
    assert refusals.reasons == ["deadline"]


def test_a_small_request_overtakes_large_ones(admission):
    """Of 100,000 waiting tokens, about as many come first as it has itself."""
    admit(admission(others=100_000), 100, 10)


def test_tokens_count_while_they_are_tokenised(admission):
    busy = admission()
    with prepare(busy, 500, 60), pytest.raises(Overloaded):
        admit(busy, 100, 10)
    admit(busy, 100, 10)


def test_what_waits_for_another_model_counts_in_seconds(admission):
    """10 tokens at 1 a second take as long as 1000 at 100."""
    for rate, seconds in ((1.0, 41), (100.0, 21)):
        busy = admission(beside=[FakeBacklog(10, rate=rate)])
        admit(busy, 1000, seconds)
        with pytest.raises(Overloaded):
            admit(busy, 1000, seconds - 2)


def test_another_model_takes_half_of_the_time_at_most(admission):
    busy = admission(beside=[FakeBacklog(100_000, rate=1.0)])
    admit(busy, 100, 5)
    with pytest.raises(Overloaded):
        admit(busy, 100, 3)


def test_the_queue_holds_the_tokens_of_all_models(admission):
    with pytest.raises(Overloaded):
        admit(admission(small=10, beside=[FakeBacklog(980)], max_queue_tokens=1000), 20, 1000)


def test_only_so_many_requests_are_held(admission):
    full = admission(max_requests=2)
    full.hold(0)
    full.hold(0)
    with pytest.raises(Overloaded):
        full.hold(0)
    full.release(0)
    full.hold(0)


def test_only_so_many_bytes_of_bodies_are_held(admission):
    full = admission(max_held_bytes=100)
    full.hold(60)
    with pytest.raises(Overloaded):
        full.hold(50)
    full.hold(40)


def test_a_body_of_any_size_is_held_alone(admission):
    admission(max_held_bytes=100).hold(1000)


def test_refused_requests_are_told_to_come_one_after_the_other(admission):
    """500 tokens wait, at 100 a second: each request of 200 takes two seconds more."""
    full, waits = admission(small=500, max_queue_tokens=600), []
    for _ in range(3):
        with pytest.raises(Overloaded) as refused:
            admit(full, 200, 1000)
        waits.append(refused.value.retry_after)

    assert waits == [7, 9, 11]


def test_nobody_is_told_to_wait_longer_than_clients_do(admission):
    with pytest.raises(Overloaded) as refused:
        admit(admission(small=1_000_000), 100, 10)

    assert refused.value.retry_after == MAX_RETRY_SECONDS
