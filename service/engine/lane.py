"""What waits for one model, how fast the model is, and how long a batch of it may take."""

from hashlib import blake2b

from service.engine.limits import Limits
from service.engine.model import Model
from service.engine.rate import Rate
from service.engine.scheduler import Scheduler

#: How long a batch may take before it counts as hanging: at least so many seconds, and so many times what it should.
#: A process that gets a tenth of a core is slow, and does not hang.
LEAST_SECONDS = 10.0
FACTOR = 50.0

#: Until it is known how long a usual batch takes.
UNKNOWN_SECONDS = 120.0


class Lane:
    """One model's share of the batcher.

    A batch may take the batch timeout for every ``max_batch_tokens`` tokens in it, since one text may be far longer
    than a usual batch.

    Args:
        model: computes the batches.
        limits: how many tokens a batch has, and how long one may take.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model = model
        #: Tokens of a batch, padding included.
        self.max_batch_tokens = limits.max_batch_tokens or model.max_batch_tokens
        self.scheduler = Scheduler(self.max_batch_tokens, model.padding_limits)
        self.rate = Rate()
        #: Seconds that its batches took, and those that passed for it while nothing waited in it.
        self.spent = 0.0
        #: 16 bytes that tell its texts from those of other models.
        self.person = blake2b(model.name.encode(errors="surrogateescape"), digest_size=16).digest()
        self._batch_timeout = limits.batch_timeout or UNKNOWN_SECONDS
        self._is_fixed = limits.batch_timeout is not None

    def waiting_tokens(self) -> tuple[int, int]:
        """Return the tokens of small requests that wait, and of all others."""
        return self.scheduler.tokens()

    def tokens_per_second(self) -> float:
        """Return the rate of the model; infinite if it is not known yet."""
        return self.rate.per_second

    def calibrate(self) -> None:
        """Take over how long a usual batch takes on this machine, unless a limit was given."""
        if not self._is_fixed:
            self._batch_timeout = max(LEAST_SECONDS, FACTOR * self.max_batch_tokens / self.rate.per_second)

    def allowed_seconds(self, tokens: int) -> float:
        """Return how long a batch of so many tokens may take, padding included."""
        return self._batch_timeout * max(1, tokens / self.max_batch_tokens)
