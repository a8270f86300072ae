"""A corpus: the rate of ``bulk``, of its engine alone, and of ``encode`` on the same kind of rows."""

import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import orjson

from bench import contenders, report, texts
from launchers.process import Process

log = logging.getLogger("bench")

#: Rows for what is measured before and after ``bulk``, and for ``encode``, which is slower.
ENGINE_ROWS, ENCODE_ROWS = 8192, 1500

#: Of these, ``encode`` shows its best.
BATCH_SIZES = (8, 16, 32, 64, 128, 256)
DTYPES = ("float32", "bfloat16")
DEFAULT_BATCH_SIZE = 32

MEMORY_SECONDS = 2.0


def measure(model: str, rows: int) -> dict[str, Any]:
    """Measure the engine, ``bulk`` over ``rows`` rows, the engine again, and ``encode``; rates in rows a second."""
    os.environ |= {"EMBED_MODEL": model, "HF_HUB_OFFLINE": "1"}
    before = _measure_engine()
    bulk = _measure_bulk(rows)
    after = _measure_engine()
    return {"rows": rows, "engine": [before, after], **bulk, **_measure_encode(model)}


def table(results: dict[str, Any]) -> str:
    """Format what was measured."""
    engine, bulk = sum(results["engine"]) / 2, results["bulk"]
    rows = [
        ["the engine alone on 8192 rows, before and after", " and ".join(map(_rate, results["engine"])), ""],
        [f"`bulk`, {results['rows']:,} rows of JSONL to Parquet, start included", _rate(bulk), _of(bulk, engine)],
        ["`encode` by its defaults", _rate(results["encode"]), _of(results["encode"], engine)],
        [
            f"`encode` at its best: {results['best']}",
            _rate(results["encode_best"]),
            _of(results["encode_best"], engine),
        ],
        ["`bulk` against `encode` by its defaults, at its best", _ratios(results), ""],
        ["the most memory of the run, model included", f"{results['peak_mb']} MB", ""],
    ]
    return report.table(["", "rows a second", "of the engine alone"], rows)


def _rate(rate: float) -> str:
    return report.number(rate)


def _of(rate: float, engine: float) -> str:
    return f"{100 * rate / engine:.0f} %"


def _ratios(results: dict[str, Any]) -> str:
    return ", ".join(f"{results['bulk'] / results[key]:.1f}x" for key in ("encode", "encode_best"))


def _measure_engine() -> float:
    """Return the rate of one window whose tokens are there: what any pipeline around the engine can reach."""
    from service.bulk import windows
    from service.bulk.rows import Text
    from service.bulk.shards import Window
    from service.engine.engines import Engines
    from service.engine.host import Host
    from service.engine.model import Reading
    from service.engine.options import Options
    from service.hosting import shutdown
    from service.models import catalog
    from service.settings import Settings

    some: list[Text] = list(_documents(ENGINE_ROWS, seed=1))
    with closing(Engines([catalog.load(Settings.from_env(), 1, workers=1)], Host(shutdown.end_worker))) as engines:
        engines.calibrate()
        engine = engines.find()
        ids = windows.tokenize(engine.model, some, Window(0, len(some)), [Reading()] * len(some)).ids
        engine.collect(engine.submit(ids[:500]), Options())
        rate = _time(lambda: engine.collect(engine.submit(ids), Options()), len(ids))
    log.info("engine: %.0f rows/s", rate)
    return rate


def _measure_bulk(rows: int) -> dict[str, float]:
    with contenders.scratch_directory() as directory:
        corpus = directory / "corpus.jsonl"
        with corpus.open("wb") as file:
            for text in _documents(rows, seed=2):
                file.write(orjson.dumps({"text": text}) + b"\n")
        command = [sys.executable, "-m", "service", "bulk", str(corpus), "--out", str(directory / "out")]
        started = time.perf_counter()
        run = Process(command, directory / "log")
        watch = Watch(run)
        status = run.popen.wait()
        seconds = time.perf_counter() - started
        watch.end()
        assert status == 0, run.log
        log.info("bulk: %s", run.log.splitlines()[-1])
        return {"bulk": rows / seconds, "peak_mb": watch.peak_mb}


class Watch:
    """Looks at a process's memory until it is told to end."""

    def __init__(self, process: Process) -> None:
        self.peak_mb = 0
        self._process = process
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(MEMORY_SECONDS):
            try:
                self.peak_mb = max(self.peak_mb, self._process.memory()["Pss"])
            except OSError:  # a process that is counted has just ended
                continue


def _measure_encode(model: str) -> dict[str, Any]:
    """Return the rate by default, and of the best batch size and dtype on fewer rows; ``encode`` sorts by length."""
    import torch
    from sentence_transformers import SentenceTransformer

    some = list(_documents(ENCODE_ROWS, seed=3))
    encoders = {each: SentenceTransformer(model, model_kwargs={"dtype": getattr(torch, each)}) for each in DTYPES}

    def measure(dtype: str, size: int, some: list[str]) -> float:
        return _time(lambda: encoders[dtype].encode(some, batch_size=size, show_progress_bar=False), len(some))

    rates = {(dtype, size): measure(dtype, size, some[:384]) for dtype in DTYPES for size in BATCH_SIZES}
    dtype, size = max(rates, key=rates.__getitem__)
    default, best = measure("float32", DEFAULT_BATCH_SIZE, some), measure(dtype, size, some)
    log.info("encode: %.0f rows/s, %.0f rows/s in %s by %d", default, best, dtype, size)
    return {"encode": default, "encode_best": best, "best": f"{dtype}, {size} rows in a batch"}


def _time(work: Callable[[], object], rows: int) -> float:
    started = time.perf_counter()
    work()
    return rows / (time.perf_counter() - started)


def _documents(rows: int, seed: int) -> Iterator[str]:
    """Yield documents, each with a number of its own, since equal ones are computed once."""
    rng = random.Random(seed)
    return (f"{texts.document(rng)} {number}" for number in range(rows))
