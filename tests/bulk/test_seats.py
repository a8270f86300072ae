"""How the processes of a run are spread over a cluster."""

import pytest

from service.bulk.seats import Node, Seat, assign
from service.errors import BulkFailed

EIGHT, FOUR, CARDS = Node("a", 8, 0), Node("b", 4, 0), Node("c", 16, 2)
HEAD = Node("h", 0, 0)


def test_without_cards_each_node_has_a_process_with_all_its_cores():
    assert assign([HEAD, EIGHT, FOUR], ["auto"]) == [Seat("a", "cpu", 8), Seat("b", "cpu", 4)]


def test_each_card_of_the_cluster_has_a_process():
    assert assign([EIGHT, CARDS, Node("d", 4, 1)], ["auto"]) == [
        Seat("c", "cuda", 8),
        Seat("d", "cuda", 4),
        Seat("c", "cuda", 8),
    ]


@pytest.mark.parametrize(
    ("count", "seats"),
    [
        (1, ["a8"]),
        (2, ["a4", "a4"]),
        (3, ["a4", "a4", "b4"]),
        (5, ["a2", "a2", "a2", "b2", "a2"]),
        (12, ["a1"] * 5 + ["b1", "a1"] * 3 + ["b1"]),
    ],
)
def test_as_many_as_are_asked_for_share_the_cores(count, seats):
    found = assign([EIGHT, FOUR], ["cpu"] * count)

    assert sorted(f"{seat.node}{seat.cores}" for seat in found) == sorted(seats)


def test_as_many_cards_as_are_asked_for_are_taken():
    assert assign([CARDS], ["cuda:0"]) == [Seat("c", "cuda", 8)]


@pytest.mark.parametrize(
    ("nodes", "devices", "complaint"),
    [
        ([EIGHT], ["cpu"] * 9, "--devices cpu:9: the cluster has 8 cores"),
        ([CARDS], ["cuda:0", "cuda:1", "cuda:2"], "--devices cuda:0,cuda:1,cuda:2: the cluster has 2 GPUs"),
        ([HEAD], ["auto"], "the cluster has no node with a core or a GPU"),
    ],
)
def test_more_than_there_is_is_refused(nodes, devices, complaint):
    with pytest.raises(BulkFailed, match=complaint):
        assign(nodes, devices)


@pytest.mark.parametrize(
    ("seat", "told", "node"),
    [
        (Seat("x", "cpu", 1), "1 CPU", EIGHT),
        (Seat("x", "cpu", 8), "8 CPUs", EIGHT),
        (Seat("x", "cuda", 0), "1 GPU", CARDS),
        (Seat("x", "cuda", 8), "1 GPU and 8 CPUs", CARDS),
    ],
)
def test_a_seat_says_what_it_takes_and_where_it_fits(seat, told, node):
    assert str(seat) == told
    assert seat.fits(node)


@pytest.mark.parametrize("seat", [Seat("x", "cpu", 9), Seat("x", "cuda", 8)])
def test_a_seat_does_not_fit_where_something_lacks(seat):
    assert not seat.fits(EIGHT)
