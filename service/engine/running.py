"""The batch that is being computed, which texts that arrive meanwhile may join: equal ones are not computed again."""

from itertools import chain, pairwise

from service.engine.lane import Lane
from service.engine.request import Entries, Entry


class Running:
    """What is being computed, if anything is. The batcher's lock guards it."""

    def __init__(self) -> None:
        self._lane: Lane | None = None
        self._keys: set[bytes] = set()
        self._joined: list[Entry] = []

    def begin(self, lane: Lane, batch: list[Entry]) -> None:
        """Let texts equal to those of ``batch`` join it from now on."""
        self._lane = lane
        self._keys = {entry.key for entry in batch}

    def join(self, lane: Lane, entries: Entries) -> Entries:
        """Keep the entries of texts that are being computed; return the others, which must be queued."""
        if lane is not self._lane or not any(group[0].key in self._keys for group in entries.groups):
            return entries
        joined = [group for group in entries.groups if group[0].key in self._keys]
        for before, after in chain.from_iterable(map(pairwise, joined)):
            del before.after, after.before  # or they would keep each other in memory
        self._joined += chain.from_iterable(joined)
        entries.request.started = entries.request.arrived
        groups = [group for group in entries.groups if group[0].key not in self._keys]
        leaders = [entry for entry in entries.leaders if entry.key not in self._keys]
        return Entries(entries.request, groups, leaders)

    def end(self) -> list[Entry]:
        """Let nothing join any more; return what did."""
        joined, self._joined = self._joined, []
        self._lane, self._keys = None, set()
        return joined
