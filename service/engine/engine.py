"""Texts to vectors: tokenise in the request's thread, compute in the batcher's."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from service.engine.batcher import Batcher
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.model import Embeddings, Model, Timings, Vectors
from service.engine.request import Request
from service.engine.watchdog import Watchdog
from service.errors import ClientGone, DeadlinePassed, InvalidInput

#: How often a waiting request looks at its client and its deadline.
POLL_SECONDS = 0.1

#: How long ``close`` waits for a model that may hang.
CLOSE_SECONDS = 10.0


class Engine:
    """A model behind a batcher and a watchdog; owns both.

    Args:
        model: computes the batches.
        replace: called with a reason when the model hangs; should end this process.
        limits: how much it takes on.
        meter: told of what happens.
    """

    def __init__(
        self,
        model: Model,
        replace: Callable[[str], object],
        limits: Limits = Limits(),  # noqa: B008  # immutable
        meter: Meter | None = None,
    ) -> None:
        self.model = model
        self._limits = limits
        tokens = limits.max_batch_tokens or model.max_batch_tokens
        self._batcher = Batcher(model.embed, tokens, model.padding_limits, meter or Meter())
        self._watchdog = Watchdog(self._batcher, tokens, limits.batch_timeout, replace)

    def embed(
        self, texts: Sequence[str], dimensions: int | None = None, is_gone: Callable[[], bool] = lambda: False
    ) -> Embeddings:
        """Embed ``texts``, blocking until every vector is there.

        Args:
            texts: any number.
            dimensions: keep this many leading components and renormalise; None or 0 keeps all.
            is_gone: polled while waiting; once it returns True, the request is cancelled.

        Raises:
            InvalidInput: ``dimensions`` is not between 0 and the model's dimension.
            ClientGone: ``is_gone()`` returned True.
            DeadlinePassed: the timeout passed.
            ModelFailed: the model raised on a batch with one of the texts.
        """
        dimensions = self._check(dimensions)
        began = time.monotonic()
        request = Request(self.model.tokenize(texts), self.model.dimension, began + self._limits.request_timeout)
        self._batcher.submit(request)
        self._wait(request, is_gone)
        started = min(request.started, time.monotonic())
        timings = Timings(request.arrived - began, started - request.arrived, time.monotonic() - started)
        return Embeddings(_cut(request.vectors, dimensions), sum(map(len, request.token_ids)), timings)

    def is_ready(self) -> bool:
        """Tell whether a request would be answered: the batcher lives and its batch is not late."""
        return self._batcher.is_alive() and not self._watchdog.is_late()

    def close(self) -> None:
        """Finish what is queued and join the threads; give up on a model that hangs."""
        self._watchdog.close()
        self._batcher.close(CLOSE_SECONDS)

    def _check(self, dimensions: int | None) -> int:
        full = self.model.dimension
        if dimensions is not None and not 0 <= dimensions <= full:
            raise InvalidInput(f"dimensions must be between 1 and {full} for {self.model.name}", "dimensions")
        return dimensions or full

    def _wait(self, request: Request, is_gone: Callable[[], bool]) -> None:
        while not request.wait(POLL_SECONDS):
            if is_gone():
                self._batcher.cancel(request)
                raise ClientGone("the client closed the connection")
            if time.monotonic() > request.deadline:
                self._batcher.cancel(request)
                raise DeadlinePassed(
                    f"not answered within {self._limits.request_timeout:g} seconds; send fewer texts at a time"
                )
        request.raise_error()


def _cut(vectors: Vectors, dimensions: int) -> Vectors:
    """Keep the leading components and scale each row back to length 1, as Matryoshka models are used."""
    if dimensions == vectors.shape[1]:
        return vectors
    cut: Vectors = vectors[:, :dimensions].copy()
    cut /= np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return cut
