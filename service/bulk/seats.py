"""Seats: where in a cluster the processes of a run sit, and what each takes of its node."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from service.errors import BulkFailed


class Node(NamedTuple):
    """A machine of a cluster: its id, and how many cores and cards it offers."""

    id: str
    cores: int
    cards: int


class Seat(NamedTuple):
    """A place for a process: the node that it should be on, ``cpu`` or ``cuda``, and its cores."""

    node: str
    device: str
    cores: int

    def __str__(self) -> str:
        cards = ["1 GPU"] if self.device == "cuda" else []
        cores = [f"{self.cores} CPU{'s' if self.cores > 1 else ''}"] if self.cores else []
        return " and ".join(cards + cores)

    def fits(self, node: Node) -> bool:
        """Tell whether a node offers as much, which others may hold."""
        return node.cores >= self.cores and node.cards >= int(self.device == "cuda")


def assign(nodes: Sequence[Node], devices: Sequence[str]) -> list[Seat]:
    """Return a seat for each device; for ``auto`` one for each card of the cluster, without cards one for each node.

    Raises:
        BulkFailed: the cluster has less than is asked for.
    """
    asked = "--devices " + (f"cpu:{len(devices)}" if devices[0] == "cpu" else ",".join(devices))
    seats = _cards(nodes)
    if devices[0] == "auto":
        seats = seats or [Seat(node.id, "cpu", node.cores) for node in nodes if node.cores]
        if not seats:
            raise BulkFailed("the cluster has no node with a core or a GPU")
        return seats
    if devices[0] == "cpu":
        return _shares(nodes, len(devices), asked)
    if len(seats) < len(devices):
        raise BulkFailed(f"{asked}: the cluster has {len(seats)} GPUs")
    return seats[: len(devices)]


def _cards(nodes: Sequence[Node]) -> list[Seat]:
    """Return a seat for each card, the first of each node first."""
    by_node = [[Seat(node.id, "cuda", node.cores // node.cards)] * node.cards for node in nodes if node.cards]
    return [seat for some in zip_longest(*by_node) for seat in some if seat]


def _shares(nodes: Sequence[Node], count: int, asked: str) -> list[Seat]:
    """Divide the cores: seats of one size, as large as lets so many fit, each on the node with the most cores left."""
    total, most = sum(node.cores for node in nodes), max((node.cores for node in nodes), default=0)
    if total < count:
        raise BulkFailed(f"{asked}: the cluster has {total} cores")
    size = next(size for size in range(most, 0, -1) if sum(node.cores // size for node in nodes) >= count)
    left = {node.id: node.cores for node in nodes}
    seats = []
    for _ in range(count):
        node = max(left, key=left.__getitem__)
        left[node] -= size
        seats.append(Seat(node, "cpu", size))
    return seats
