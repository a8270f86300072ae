"""Texts to vectors inside a pipeline of Ray Data, Spark or another: the engine of the service, without a server."""

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from service import cpu
from service.bulk.worker import limits_of
from service.engine.distinct import Distinct
from service.engine.engine import Engine
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.model import Reading, Vectors
from service.engine.options import Options
from service.errors import BadSetting, InvalidInput
from service.hosting import malloc
from service.models import catalog
from service.settings import Settings
from service.variables import PREFIX

log = logging.getLogger(__name__)

#: The engines of this process, and which process that is: none survives a fork. Ray and Spark make or unpickle an
#: Embedder for each actor or task, and only a module outlives those. Nobody knows which task is the last, so no engine
#: is closed: it ends with its process, which waits for none of its threads.
_engines: dict[tuple[int, Settings, int], Engine] = {}
_lock = threading.Lock()


class Embedder:
    """Embeds batches. It is pickled without its model, which each process loads at its first batch and keeps.

    Args:
        text: the column of the texts.
        vector: the column that the vectors get.
        prompt: the name of the model's prompt that is put before the texts; None for its default.
        dimensions: keep so many leading components, and scale to length 1; None for all.
        cores: that this process may use; None for OMP_NUM_THREADS, which Ray and Spark set, and without it for all.
        settings: of the service, in lower case, such as ``model`` or ``device``; else the environment's.

    Raises:
        BadSetting: a setting is unknown, or has a value that cannot be used.
    """

    def __init__(  # a pipeline's only place to say it
        self,
        *,
        text: str = "text",
        vector: str = "vector",
        prompt: str | None = None,
        dimensions: int | None = None,
        cores: int | None = None,
        **settings: Any,
    ) -> None:
        self._text = text
        self._vector = vector
        self._prompt = prompt
        self._dimensions = dimensions
        self._cores = cores
        given = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
        self._settings = Settings.from_env(os.environ | given)

    def __call__(self, batch: Any) -> Any:
        """Return the columns of a batch with the vectors as a further one; of texts alone their vectors.

        Args:
            batch: columns by name; or the texts, as a list, an array or a pandas Series.

        Returns:
            vectors of float32 of shape (texts, dimensions).

        Raises:
            StartError: the model cannot be loaded.
            InvalidInput: a row has no text, or the model has no such prompt or number of dimensions.
            ModelFailed: the model raised on one of the texts.
        """
        if isinstance(batch, Mapping):
            return {**batch, self._vector: self._embed(list(batch[self._text]))}
        return self._embed(list(batch))

    def _embed(self, texts: list[Any]) -> Vectors:
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidInput(
                    f"row {row} of the batch has {text!r} in place of a text; leave such rows out before"
                )
        if not texts and self._dimensions:
            return np.zeros((0, self._dimensions), np.float32)
        engine = _find_engine(self._settings, self._cores)  # for no texts, too: it knows the length of a vector
        options = Options(Reading(_find_prompt(engine, self._prompt)), self._dimensions)
        distinct = Distinct.of(texts)
        if not texts:
            return np.zeros((0, engine.model.dimension), np.float32)
        tokenized = engine.model.tokenize(distinct.inputs, options.reading)
        return engine.collect(engine.submit(tokenized.ids), options)[distinct.rows]


def _find_prompt(engine: Engine, name: str | None) -> str | None:
    if name is None:
        return None
    if name in engine.model.prompts:
        return engine.model.prompts[name]
    names = ", ".join(engine.model.prompts) or "none"
    raise InvalidInput(f"{engine.model.name} has no prompt {name!r}; it has {names}", "prompt")


def _find_engine(settings: Settings, cores: int | None) -> Engine:
    """Return the engine of this process; load the model if there is none yet."""
    threads = cores or _omp_threads() or cpu.cores()
    key = os.getpid(), settings, max(1, -(-cpu.cores() // threads))
    with _lock:
        if key not in _engines:
            _engines[key] = _load(settings, key[2])
        return _engines[key]


def _omp_threads() -> int:
    """Return the number of OMP_NUM_THREADS, of a list of nesting levels the outermost; 0 if there is none."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(outermost) if outermost.isdecimal() else 0


def _load(settings: Settings, sharers: int) -> Engine:
    if len(settings.each_model()) > 1:
        raise BadSetting("EMBED_MODEL has several models; name the one to use")
    malloc.limit_malloc()
    cpu.limit_tokenizers(cpu.share(sharers))
    source = catalog.prepare(settings)
    settings = msgspec.structs.replace(settings, revision=source.revision or settings.revision)
    model = catalog.load(settings, 1, sharers)
    engines = Engines([model], Host(_end, malloc.trim), limits_of(settings))
    engines.calibrate()
    return engines.find()


def _end(reason: str) -> None:
    log.error("%s; this process ends, and the pipeline does its work again", reason)
    os._exit(1)
