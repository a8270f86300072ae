"""All scenes, one after the other."""

import logging
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import contenders
from bench.torture import faults, jobs, misuse, overload
from bench.torture.jobs import Jobs
from bench.torture.stand import Stand
from bench.torture.verdict import DEADLINE_SECONDS

log = logging.getLogger("bench")

Scene = Callable[[Stand, Jobs], dict[str, Any]]

SCENES: list[Scene] = [
    overload.short_texts,
    overload.documents,
    overload.obey,
    misuse.abandon,
    misuse.drip,
    misuse.idle,
    misuse.slow_readers,
    misuse.half_closed,
    misuse.mixed,
    misuse.fill,
]


def run(model: str, only: Sequence[str] = ("",)) -> dict[str, Any]:
    """Run the scenes whose names contain one of ``only``; return what was measured in each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    results: dict[str, Any] = {"load_average": os.getloadavg()[0]}
    with contenders.scratch_directory() as directory, _started(directory / "service", model) as stand:
        made = jobs.make(model, stand.http, DEADLINE_SECONDS)
        for scene in SCENES:
            if any(part in scene.__name__ for part in only):
                began = time.monotonic()
                results[scene.__name__] = scene(stand, made)
                log.info("%s, %.0f s: %s", scene.__name__, time.monotonic() - began, results[scene.__name__])
                stand.service.settle(60)
        results["replaced_workers"] = stand.replaced_workers()
    if any(part in "faults" for part in only):
        with contenders.scratch_directory() as directory:
            results["faults"] = faults.faults(directory, model, made)
            log.info("faults: %s", results["faults"])
    return results


def _started(directory: Path, model: str) -> Stand:
    directory.mkdir(mode=0o755)
    return Stand(directory, EMBED_MODEL=model)
