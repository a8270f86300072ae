"""The inputs of a request without repetitions."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from service.engine.model import Input, Pair

#: Bytes of UTF-8 to a token, for an estimate before tokenising: English has 4 to 5, Chinese 3.
BYTES_PER_TOKEN = 4


class Distinct(NamedTuple):
    """Inputs, each once, in the order in which they come first.

    Args:
        inputs: each differs from all others.
        places: where each comes first in the list that was given.
        rows: for each of the list that was given, which of ``inputs`` it is.
    """

    inputs: list[Input]
    places: list[int]
    rows: list[int]

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> "Distinct":
        """Find the repetitions."""
        row_of: dict[Hashable, int] = {}
        rows = [row_of.setdefault(each if isinstance(each, str) else tuple(each), len(row_of)) for each in inputs]
        if len(row_of) == len(rows):
            return cls(list(inputs), rows, rows)
        places: dict[int, int] = {}
        for place, row in enumerate(rows):
            places.setdefault(row, place)
        return cls([inputs[place] for place in places.values()], list(places.values()), rows)

    def only(self, rows: Sequence[int]) -> "Distinct":
        """Return some of them."""
        if len(rows) == len(self.inputs):
            return self
        return Distinct([self.inputs[row] for row in rows], [self.places[row] for row in rows], list(range(len(rows))))

    def guess_tokens(self, most: int | None) -> int:
        """Return about how many tokens they have, of which a model reads ``most`` each."""
        return int(sum(min(_guess_tokens(each), most or float("inf")) for each in self.inputs))

    def slices(self, characters: int) -> Iterator[tuple[int, list[Input]]]:
        """Divide them into runs of at most so many characters, or of one input, each with the row of its first."""
        first = size = 0
        for row, each in enumerate(self.inputs):
            length = sum(map(len, each)) if isinstance(each, Pair) else len(each)
            if size and size + length > characters:
                yield first, self.inputs[first:row]
                first, size = row, 0
            size += length
        if first < len(self.inputs):
            yield first, self.inputs[first:]


def _guess_tokens(each: Input | Pair) -> float:
    if isinstance(each, Pair):
        return sum(map(_guess_tokens, each))
    if not isinstance(each, str):
        return len(each)
    size = len(each) if each.isascii() else len(each.encode(errors="surrogatepass"))
    return size / BYTES_PER_TOKEN + 2
