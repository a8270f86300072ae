"""How much an engine takes on."""

from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of an engine; ``EMBED_*`` variables of the same names set them.

    Args:
        max_batch_tokens: tokens of a batch, padding included; None takes what the model recommends.
        request_timeout: seconds that a request may take.
        batch_timeout: seconds that a batch of ``max_batch_tokens`` may take.
    """

    max_batch_tokens: int | None = None
    request_timeout: float = 300.0
    batch_timeout: float = 30.0
