"""Texts to vectors: tokenise in the request's thread, compute in the batcher's."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from service.engine.batcher import Batcher
from service.engine.model import Embeddings, Model, Vectors
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
        max_batch_tokens: tokens of a batch; None takes what the model recommends.
        request_timeout: seconds that a request may take.
        batch_timeout: seconds that a batch of ``max_batch_tokens`` may take.
    """

    def __init__(
        self,
        model: Model,
        replace: Callable[[str], object],
        max_batch_tokens: int | None = None,
        request_timeout: float = 300.0,
        batch_timeout: float = 30.0,
    ) -> None:
        self.model = model
        self._request_timeout = request_timeout
        tokens = max_batch_tokens or model.max_batch_tokens
        self._batcher = Batcher(model.embed, tokens, model.padding_limits)
        self._watchdog = Watchdog(self._batcher, tokens, batch_timeout, replace)

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
        deadline = time.monotonic() + self._request_timeout
        request = Request(self.model.tokenize(texts), self.model.dimension, deadline)
        self._batcher.submit(request)
        self._wait(request, is_gone)
        return Embeddings(_cut(request.vectors, dimensions), sum(map(len, request.token_ids)))

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
                    f"not answered within {self._request_timeout:g} seconds; send fewer texts at a time"
                )
        request.raise_error()


def _cut(vectors: Vectors, dimensions: int) -> Vectors:
    """Keep the leading components and scale each row back to length 1, as Matryoshka models are used."""
    if dimensions == vectors.shape[1]:
        return vectors
    cut: Vectors = vectors[:, :dimensions].copy()
    cut /= np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return cut
