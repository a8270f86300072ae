"""Whether memory grows: the service under mixed load for half an hour, looked at after every turn of it.

Anonymous memory, that of the processes alone: what they map of files they share with whoever else maps them.
"""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import contenders, texts
from bench.texts import Writer

log = logging.getLogger("bench")

FRONT = "this service, nginx and socket"


def soak(model: str, write: Writer, minutes: int) -> dict[str, Any]:
    """Run every workload in turn for some minutes; return memory in MB after each turn, answers, errors."""
    loads = [load for load in texts.workloads(write) if not load.pause] + [texts.bulk(write)]
    base = Path(tempfile.mkdtemp(prefix="bench-"))
    base.chmod(0o755)
    server = contenders.start(FRONT, model, base / "run")
    started = time.monotonic()
    memory: dict[str, int] = {}
    answered = errors = turn = 0
    try:
        while time.monotonic() < started + 60 * minutes:
            for load in loads:
                measured = server.measure(load, 3, seed=turn)
                answered += round(measured.requests_per_second * 3 * load.longer)
                errors += measured.errors
            turn += 1
            minute = f"{(time.monotonic() - started) / 60:.1f}"
            memory[minute] = server.memory()["Anonymous"]
            log.info("minute %s: %d MB, %d answers, %d errors", minute, memory[minute], answered, errors)
    finally:
        server.close()
    return {"anonymous_mb": memory, "answered": answered, "errors": errors}
