"""The engines of a process, by the names of their models."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.cache import Cache
from service.engine.engine import Engine
from service.engine.host import Host
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.model import Embeddings, Model, RerankModel
from service.engine.results import Results
from service.engine.watchdog import Watchdog
from service.errors import UnknownModel

#: How long ``close`` waits for a model that may hang.
CLOSE_SECONDS = 10.0


class Reranker(NamedTuple):
    """The engine of a model that scores pairs, and the model."""

    engine: Engine
    model: RerankModel

    def activate(self, embeddings: Embeddings) -> npt.NDArray[np.float32]:
        """Return the scores of embedded pairs, float32 of shape (pairs,), as the model means them."""
        raw: npt.NDArray[np.float32] = embeddings.vectors[:, 0]
        if self.model.activation == "sigmoid":
            return ((1 + np.tanh(raw / 2)) / 2).astype(np.float32)  # nothing overflows in this form of it
        return raw


class Engines:
    """Models on one device: an engine each, and the batcher, the admission and the watchdog that these share.

    Args:
        models: one or more; the first is the default. Equal ones share no batch.
        host: the process that they run in.
        limits: how much they take on together.
        meter: told of what happens.
        aliases: further names, each with the name of its model.
        rerank_model: scores pairs; it shares the rest with the others.
        cache: keeps what they computed; None computes everything.
    """

    def __init__(  # noqa: PLR0913  # the parts of a service
        self,
        models: Sequence[Model],
        host: Host,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        meter: Meter | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        rerank_model: RerankModel | None = None,
        cache: Cache | None = None,
    ) -> None:
        meter = meter or Meter()
        every: list[Model] = [*models, *([rerank_model] if rerank_model else [])]
        lanes = [Lane(model, limits) for model in every]
        self._batcher = Batcher(lanes, meter, host)
        self.admission = Admission(lanes, limits, meter)
        parts = self._batcher, self.admission, limits, meter
        self._every = [Engine(lane, *parts, Results(cache, lane.model) if cache else None) for lane in lanes]
        self._engines = self._every[: len(models)]
        self._reranker = Reranker(self._every[-1], rerank_model) if rerank_model else None
        own = {engine.model.name: engine for engine in self._engines}
        #: By every name that requests may give: the models' own, then their aliases.
        self.by_name = own | {alias: own[name] for alias, name in (aliases or {}).items()}
        self._watchdog = Watchdog(self._batcher, self._batcher.give_up)

    def __iter__(self) -> Iterator[Engine]:
        """Yield the engine of each model."""
        return iter(self._engines)

    def find(self, name: str | None = None) -> Engine:
        """Return the engine of a model or alias; without a name the first. With one model any name is taken.

        Raises:
            UnknownModel: there are several models, and none has this name.
        """
        if not name or len(self._engines) == 1:
            return self._engines[0]
        return self.get(name)

    def get(self, name: str) -> Engine:
        """Return the engine of exactly this model or alias.

        Raises:
            UnknownModel: there is none of this name.
        """
        try:
            return self.by_name[name]
        except KeyError:
            served = ", ".join(self.by_name)
            raise UnknownModel(f"there is no model {name[:200]!r}; this service has {served}", "model") from None

    def find_reranker(self, name: str | None = None) -> Reranker | None:
        """Return what scores pairs; None if no model does, or if ``name`` is that of a model that embeds texts.

        Clients call the reranker what they like.
        """
        return None if name in self.by_name else self._reranker

    def calibrate(self) -> None:
        """Measure each model."""
        for engine in self._every:
            engine.calibrate()

    def is_ready(self) -> bool:
        """Tell whether a request would be answered: the batcher lives and its batch is not late."""
        return self._batcher.is_alive() and not self._watchdog.is_late()

    def close(self) -> None:
        """Finish what is queued and join the threads; give up on a model that hangs."""
        self._watchdog.close()
        self._batcher.close(CLOSE_SECONDS)
