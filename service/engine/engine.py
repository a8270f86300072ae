"""Texts to vectors: tokenise in the request's thread, compute in the batcher's, wait for it politely."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from service.engine.batcher import Batcher
from service.engine.scheduler import Job, Tokens, Vectors
from service.errors import ClientGone, DeadlinePassed, InvalidInput
from service.hosting import uwsgi

#: Seconds between two looks at whether the client is still there.
PATIENCE = 0.1


class Model(Protocol):
    """What the engine needs of a model; ``service.models`` has the real ones, the tests a small one."""

    name: str
    dimension: int
    #: The batch that suits the hardware, in tokens.
    batch_tokens: int

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the token ids of each text; called by many threads."""

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Return float32 of shape (len(batch), dimension); called by one thread."""


class Embeddings(NamedTuple):
    """Float32 vectors of shape (n, dimension), in the order of the texts, and the tokens that were read."""

    vectors: Vectors
    tokens: int


class Engine:
    """A model behind a batcher; owns the batcher's thread.

    Args:
        model: computes the batches.
        batch_tokens: tokens of a batch; None takes what the model recommends.
        timeout: seconds that a request may take.
        batch_timeout: seconds that a batch may take; after that the model is taken to hang.
        replace: ends this process, which its server then replaces.
    """

    def __init__(
        self,
        model: Model,
        batch_tokens: int | None = None,
        timeout: float = 300.0,
        batch_timeout: float = 30.0,
        replace: Callable[[str], object] = uwsgi.end_worker,
    ) -> None:
        self.model = model
        self._timeout = timeout
        self._batch_timeout = batch_timeout
        self._replace = replace
        self._batcher = Batcher(model.embed, batch_tokens or model.batch_tokens)

    def embed(
        self, texts: Sequence[str], dimensions: int | None = None, is_gone: Callable[[], bool] = lambda: False
    ) -> Embeddings:
        """Embed ``texts``, blocking until every vector is there.

        Args:
            texts: at least one.
            dimensions: keep this many leading components and renormalise; None or 0 keeps all.
            is_gone: asked while waiting; once it returns True, what is not computed yet will not be.

        Raises:
            InvalidInput: ``dimensions`` is not between 0 and the model's dimension.
            ClientGone: ``is_gone()`` returned True.
            DeadlinePassed: the timeout passed.
            ModelFailed: the model raised on a batch with one of the texts.
        """
        dimensions = self._checked(dimensions)
        deadline = time.monotonic() + self._timeout
        tokens = self.model.tokenize(texts)
        job = Job(tokens, self.model.dimension, deadline)
        self._batcher.submit(job)
        self._wait(job, is_gone)
        return Embeddings(_cut(job.vectors, dimensions), sum(map(len, tokens)))

    def is_ready(self) -> bool:
        """Tell whether a request would be answered."""
        return self._batcher.is_alive()

    def close(self) -> None:
        """Finish what is queued and join the batcher's thread."""
        self._batcher.close()

    def _checked(self, dimensions: int | None) -> int:
        full = self.model.dimension
        if dimensions is not None and not 0 <= dimensions <= full:
            raise InvalidInput(f"dimensions must be between 1 and {full} for {self.model.name}", "dimensions")
        return dimensions or full

    def _wait(self, job: Job, is_gone: Callable[[], bool]) -> None:
        while job.error is None and not job.wait(PATIENCE):
            if is_gone():
                job.give_up(ClientGone("the client closed the connection"))
            elif time.monotonic() > job.deadline:
                job.give_up(
                    DeadlinePassed(f"not answered within {self._timeout:g} seconds; send fewer texts at a time")
                )
            if self._batcher.busy_for() > self._batch_timeout:
                self._replace(f"a batch has been running for more than {self._batch_timeout:g} seconds")
            elif not self._batcher.is_alive():
                self._replace("the batcher has died")
        if job.error is not None:
            raise job.error


def _cut(vectors: Vectors, dimensions: int) -> Vectors:
    """Keep the leading components and scale each row back to length 1, as Matryoshka models are used."""
    if dimensions == vectors.shape[1]:
        return vectors
    cut: Vectors = vectors[:, :dimensions].copy()
    cut /= np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return cut
