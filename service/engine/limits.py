"""How much an engine takes on."""

from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of an engine; ``EMBED_*`` variables of the same names set most of them.

    Args:
        max_batch_tokens: tokens of a batch, padding included; None takes what the model recommends.
        max_queue_tokens: tokens that may wait.
        max_requests: requests that may be held, from the first byte to the last.
        max_held_bytes: bytes of their bodies.
        request_timeout: seconds that a request may take.
        batch_timeout: seconds that a batch of ``max_batch_tokens`` may take; None measures it.
    """

    max_batch_tokens: int | None = None
    max_queue_tokens: int = 2**20
    max_requests: int = 56
    max_held_bytes: int = 128 * 2**20
    request_timeout: float = 300.0
    batch_timeout: float | None = None
