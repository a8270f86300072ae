"""How fast the model is."""

import math

#: Older work counts less: half as much after so many seconds of it.
HALF_LIFE_SECONDS = 5.0

#: A batch counts for so many times what it should have taken at most, or for a second: in a longer one the process was
#: suspended, and the clock went on.
MAX_TIMES, SURE_SECONDS = 20.0, 1.0


class Rate:
    """The tokens that the model computes in a second, averaged over its last batches."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    @property
    def per_second(self) -> float:
        """Tokens a second; infinite before the first one. A batch of empty texts has none."""
        return self._tokens / self._seconds if self._tokens else float("inf")

    def add(self, tokens: int, seconds: float) -> None:
        """Count a batch. One thread calls this."""
        if self._tokens:
            seconds = min(seconds, max(SURE_SECONDS, MAX_TIMES * tokens / self.per_second))
        keep = math.exp2(-seconds / HALF_LIFE_SECONDS)
        self._tokens = self._tokens * keep + tokens
        self._seconds = self._seconds * keep + seconds
