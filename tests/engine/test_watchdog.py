import pytest

from service.engine.watchdog import Watchdog


class FakeBatcher:
    """Runs the batch that a test says it runs."""

    allowed_seconds = 0.0
    batches = 0
    alive = True

    def start(self, allowed_seconds):
        self.batches += 1
        self.allowed_seconds = allowed_seconds

    def is_alive(self):
        return self.alive

    def show_queues(self, *, is_late):
        self.shown = is_late


@pytest.fixture
def batcher():
    return FakeBatcher()


@pytest.fixture
def watchdog(batcher):
    """Ticks of an hour, each made by the test."""
    watchdog = Watchdog(batcher, pytest.fail, tick_seconds=3600.0)
    yield watchdog
    watchdog.close()


def ticks(watchdog, count):
    return [watchdog.check() for _ in range(count)]


def test_a_batch_that_hangs_is_noticed(watchdog, batcher):
    batcher.start(7200.0)

    assert ticks(watchdog, 4) == [None, None, None, "a batch has been running for more than 7200 seconds"]


def test_many_batches_may_take_longer_than_one(watchdog, batcher):
    for _ in range(9):
        batcher.start(7200.0)
        assert ticks(watchdog, 3) == [None, None, None]


def test_an_idle_batcher_may_idle(watchdog, batcher):
    batcher.start(7200.0)
    ticks(watchdog, 3)
    batcher.allowed_seconds = 0.0

    assert not watchdog.is_late()
    assert not any(ticks(watchdog, 9))


def test_a_batch_is_late_at_half_its_time(watchdog, batcher):
    batcher.start(7200.0)
    late = []
    for _ in range(3):
        watchdog.check()
        late.append(watchdog.is_late())

    assert late == [False, False, True]


def test_a_batcher_that_died_is_noticed(watchdog, batcher):
    batcher.alive = False

    assert watchdog.check() == "the batcher's thread has died"


def test_the_process_is_replaced_once(batcher):
    reasons = []
    batcher.alive = False
    watchdog = Watchdog(batcher, reasons.append, tick_seconds=0.001)
    watchdog._thread.join(60)

    assert reasons == ["the batcher's thread has died"]
