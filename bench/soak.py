"""Anonymous memory of the service under mixed load; it leaves out mapped files, which other processes share."""

import logging
import time
from typing import Any

from bench import contenders, lineup, texts
from bench.texts import Writer

log = logging.getLogger("bench")

SECONDS_PER_RUN = 3


def soak(model: str, write: Writer, minutes: int) -> dict[str, Any]:
    """Run the workloads in turn for some minutes; return memory in MB after each turn, answers and errors."""
    loads = [load for load in texts.workloads(write) if not load.pause] + [texts.bulk(write)]
    started = time.monotonic()
    memory: dict[str, int] = {}
    answered = errors = turn = 0
    with (
        contenders.scratch_directory() as base,
        lineup.start(lineup.BEHIND_NGINX, model, base / "run") as server,
    ):
        while time.monotonic() < started + 60 * minutes:
            for load in loads:
                measurement = server.measure(load, SECONDS_PER_RUN, seed=turn)
                answered += round(measurement.requests_per_second * SECONDS_PER_RUN * load.longer)
                errors += measurement.errors
            turn += 1
            minute = f"{(time.monotonic() - started) / 60:.1f}"
            memory[minute] = server.memory()["Anonymous"]
            log.info("minute %s: %d MB, %d answers, %d errors", minute, memory[minute], answered, errors)
    return {"anonymous_mb": memory, "answered": answered, "errors": errors}
