import pytest

from service.engine.rate import HALF_LIFE_SECONDS, Rate


def test_the_rate_is_unknown_at_first():
    assert Rate().per_second == float("inf")


def test_the_rate_is_tokens_over_seconds():
    rate = Rate()
    rate.add(100, 0.5)

    assert rate.per_second == pytest.approx(200)


def test_recent_batches_count_more():
    rate = Rate()
    rate.add(100 * 100, 100.0)
    for _ in range(10):
        rate.add(200 * int(HALF_LIFE_SECONDS), HALF_LIFE_SECONDS)

    assert rate.per_second == pytest.approx(200, rel=0.01)


def test_a_batch_of_empty_texts_tells_no_rate():
    rate = Rate()
    rate.add(0, 0.5)

    assert rate.per_second == float("inf")


def test_a_batch_in_which_the_process_was_suspended_says_little():
    rate = Rate()
    for _ in range(100):
        rate.add(1000, 0.1)
    rate.add(400, 300.0)

    assert rate.per_second > 8000


def test_a_machine_that_became_slow_is_known_to_be_so():
    rate = Rate()
    for tokens_per_second in (10_000, 10):
        for _ in range(100):
            rate.add(1000, 1000 / tokens_per_second)

    assert rate.per_second == pytest.approx(10, rel=0.01)
