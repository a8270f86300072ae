"""How many tokens a batch has: from what a forward costs on this CPU, which is measured once and kept.

A forward costs something whatever its size, and something for each token. More tokens in a batch make little of the
first; fewer let a short text wait less for the batch before it. Both are measured as processor time, which other
programs change little: at a load average of 14 on two cores, ten loads of MiniLM in bfloat16 chose 397 to 702 tokens,
whose cost a token differs by at most 3 %. Elapsed time gave -19 to 313 at half that load.
"""

import fcntl
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from service import cpu
from service.engine.model import Model, TokenIds

log = logging.getLogger(__name__)

#: Of a full batch's time, what would be there without a token in it.
FIXED_SHARE = 0.05

#: A batch takes at most so long, since a short text may have to wait for one.
LONGEST_SECONDS = 0.1

#: The least and the most tokens of a batch.
LEAST_TOKENS, MOST_TOKENS = 128, 2048

#: The shapes that are measured, texts by tokens: a short text alone, short texts, and texts of usual length.
SHAPES = ((1, 13), (20, 13), (4, 70))

#: Runs of the smallest in each round: it is quick, and beside other programs few of its runs are undisturbed.
SMALL_REPEATS = 12

#: How long the measurement takes, unless one round of the shapes takes longer.
MEASURED_SECONDS = 0.5


class Cost(NamedTuple):
    """The processor seconds of a forward whatever its size, and of each token in it."""

    forward: float
    token: float

    def budget(self, threads: int) -> int:
        """Return the tokens of a batch that ``threads`` compute."""
        elapsed = self.token / threads  # while what a forward costs is spent, all but one wait
        ample = self.forward / elapsed * (1 - FIXED_SHARE) / FIXED_SHARE
        return round(max(LEAST_TOKENS, min(ample, LONGEST_SECONDS / elapsed, MOST_TOKENS)))


def choose(path: Path, model: Model, threads: int) -> int:
    """Return the tokens of a batch, from what was measured at the first load on such a CPU, in this dtype.

    Args:
        path: the file of what was measured. Where it cannot be opened nothing is: each start would take longer. Where
            the disk is full, what was measured serves this start, and the next one measures again.
        model: it runs on the CPU.
        threads: compute a batch.
    """
    key = f"{cpu.name()}, {threads} threads, {model.dtype}, {model.fingerprint[:16]}"
    cost = _read(path).get(key) or _measure_once(path, key, model)
    return cost.budget(threads) if cost else model.max_batch_tokens


def measure(model: Model, clock: Callable[[], float] = time.process_time) -> Cost | None:
    """Measure what a forward costs; return None if the model makes no tokens of the text that is tried.

    Args:
        model: nothing else in this process may compute meanwhile.
        clock: returns the processor seconds that this process has spent.
    """
    batches = [_batch(model, texts, length) for texts, length in SHAPES]
    seconds = [float("inf")] * len(batches)
    until = time.monotonic() + MEASURED_SECONDS
    while seconds[0] == float("inf") or time.monotonic() < until:
        for index, repeats in enumerate((SMALL_REPEATS, 1, 1)):
            seconds[index] = min([seconds[index], *(_time(model, batches[index], clock) for _ in range(repeats))])
    small, *larger = [sum(map(len, batch)) for batch in batches]
    if min(larger) <= small:
        return None
    slopes = [(taken - seconds[0]) / (tokens - small) for taken, tokens in zip(seconds[1:], larger, strict=True)]
    token = max(sum(slopes) / len(slopes), 1e-9)
    return Cost(max(seconds[0] - small * token, 0.0), token)


def _time(model: Model, batch: list[TokenIds], clock: Callable[[], float]) -> float:
    started = clock()
    model.embed(batch)
    return clock() - started


def _batch(model: Model, texts: int, length: int) -> list[TokenIds]:
    [ids] = model.tokenize(["a " * length]).ids
    return [ids[:length]] * texts


def _measure_once(path: Path, key: str, model: Model) -> Cost | None:
    """Measure and remember it, one process at a time; return None where no file can be opened and locked."""
    cost: Cost | None = None
    with suppress(OSError), path.open("a+b") as file:  # on a full disk the last lines fail, and this start has its cost
        fcntl.flock(file, fcntl.LOCK_EX)
        known = _read(path)
        cost = known.get(key) or measure(model)
        if cost and key not in known:
            milliseconds = (1000 * each for each in cost)
            log.info("%s: of processor time a forward takes %.2f ms, and %.4f ms a token", model.name, *milliseconds)
            file.truncate(0)
            file.write(msgspec.json.encode(known | {key: cost}))
    return cost


def _read(path: Path) -> dict[str, Cost]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Cost])
    except (OSError, msgspec.DecodeError):
        return {}
