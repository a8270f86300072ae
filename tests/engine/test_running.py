import gc
import weakref

import pytest

from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.request import Entries, Request
from service.engine.running import Running
from tests.fakes import FakeModel, token_ids


def entries(*lengths):
    return Entries.of(Request(token_ids(*lengths), 1))


@pytest.fixture
def lane():
    return Lane(FakeModel(), Limits())


@pytest.fixture
def running(lane):
    running = Running()
    running.begin(lane, entries(5, 6).leaders)
    return running


def test_equal_texts_join_and_others_are_left(running, lane):
    rest = running.join(lane, entries(5, 7, 5))

    assert [entry.length for entry in rest.leaders] == [7]
    assert [[entry.length for entry in group] for group in rest.groups] == [[7]]
    assert [entry.position for entry in running.end()] == [0, 2]


def test_equal_token_ids_of_another_model_do_not_join(running):
    assert running.join(Lane(FakeModel(), Limits()), entries(5)).leaders
    assert running.end() == []


def test_nothing_joins_a_batch_that_has_ended(running, lane):
    running.end()

    assert running.join(lane, entries(5)).leaders


def test_a_request_that_joined_has_not_waited(running, lane):
    joined = entries(5)
    running.join(lane, joined)

    assert joined.request.started == joined.request.arrived


def test_texts_that_joined_do_not_keep_each_other(running, lane):
    gc.disable()
    try:
        running.join(lane, entries(5, 5))
        watched = [weakref.ref(entry.request) for entry in running.end()]
        assert [each() for each in watched] == [None, None]
    finally:
        gc.enable()
