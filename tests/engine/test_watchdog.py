import pytest

from service.engine.watchdog import Watchdog


class FakeBatcher:
    """Runs the batch that a test says it runs."""

    running_tokens = 0
    batches = 0
    alive = True

    def start(self, tokens):
        self.batches += 1
        self.running_tokens = tokens

    def is_alive(self):
        return self.alive

    def show_queue(self, *, is_late):
        self.shown = is_late


def test_a_measured_limit_is_many_times_what_a_batch_takes(batcher):
    """500 seconds are no hang where a batch takes ten; a given limit stays."""
    for given, passed in ((None, 6), (60.0, 1)):
        watchdog = Watchdog(batcher, 100, given, pytest.fail, tick_seconds=100.0)
        watchdog.calibrate(10.0)
        batcher.start(100)
        reasons = [watchdog.check() for _ in range(7)]
        watchdog.close()

        assert reasons.index(next(filter(None, reasons))) == passed


@pytest.fixture
def batcher():
    return FakeBatcher()


@pytest.fixture
def watchdog(batcher):
    """Ticks of an hour, each made by the test; a usual batch has 100 tokens and may take two ticks."""
    watchdog = Watchdog(batcher, 100, 2 * 3600.0, pytest.fail, tick_seconds=3600.0)
    yield watchdog
    watchdog.close()


def ticks(watchdog, count):
    return [watchdog.check() for _ in range(count)]


def test_a_batch_that_hangs_is_noticed(watchdog, batcher):
    batcher.start(50)

    assert ticks(watchdog, 4) == [None, None, None, "a batch has been running for more than 7200 seconds"]


def test_many_batches_may_take_longer_than_one(watchdog, batcher):
    for _ in range(9):
        batcher.start(100)
        assert ticks(watchdog, 3) == [None, None, None]


def test_an_idle_batcher_may_idle(watchdog):
    assert not any(ticks(watchdog, 9))


def test_a_text_of_many_batches_may_take_as_much_longer(watchdog, batcher):
    batcher.start(1000)

    assert not any(ticks(watchdog, 21))
    assert watchdog.check() == "a batch has been running for more than 72000 seconds"


def test_a_batch_is_late_at_half_its_time(watchdog, batcher):
    batcher.start(100)
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
    watchdog = Watchdog(batcher, 100, 1.0, reasons.append, tick_seconds=0.001)
    watchdog._thread.join(60)

    assert reasons == ["the batcher's thread has died"]
