"""What the engine tells of its work; ``service.metrics`` exports it."""


class Meter:
    """Hears of every batch and refusal; this one forgets them."""

    def count_batch(self, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """Count a computed batch; ``padded_tokens`` includes ``tokens``. The batcher's thread calls this."""

    def count_refusal(self, reason: str) -> None:
        """Count a request that got no vectors. Any thread calls this.

        ``queue_full``: too much waits. ``too_late``: its deadline would pass before it is done. ``deadline``: it has
        passed. ``client_gone``: nobody waits for the answer.
        """

    def count_lookups(self, model: str, hits: int, misses: int) -> None:
        """Count the texts of a request that were looked up in the cache. Any thread calls this."""

    def show_queue(self, model: str, tokens: int, oldest_seconds: float) -> None:
        """Show the tokens that wait for a model, and the age of the oldest request that does."""

    def beat(self, *, is_late: bool) -> None:
        """Show that the process lives, and whether the present batch hangs.

        The watchdog's thread calls this with every tick, after ``show_queue`` for each model.
        """
