import pytest

from service.engine.lane import LEAST_SECONDS, UNKNOWN_SECONDS, Lane
from service.engine.limits import Limits
from tests.fakes import FakeModel


def lane(**limits):
    """A batch has 100 tokens."""
    return Lane(FakeModel(), Limits(**limits))


def test_a_text_of_many_batches_may_take_as_much_longer():
    assert [lane(batch_timeout=6.0).allowed_seconds(tokens) for tokens in (1, 100, 1000)] == [6, 6, 60]


@pytest.mark.parametrize(
    ("given", "seconds", "allowed"), [(None, 10.0, 500.0), (None, 0.01, LEAST_SECONDS), (60.0, 10.0, 60.0)]
)
def test_a_measured_limit_is_many_times_what_a_batch_takes(given, seconds, allowed):
    """A given limit stays."""
    measured = lane(batch_timeout=given)
    measured.rate.add(100, seconds)
    measured.calibrate()

    assert measured.allowed_seconds(100) == allowed


def test_before_it_is_measured_a_batch_may_take_long():
    assert lane().allowed_seconds(100) == UNKNOWN_SECONDS
