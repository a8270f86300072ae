"""Scenes with a model that hangs or runs out of memory: a copy of the service does so when it is told to."""

import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.torture.jobs import Jobs, count
from bench.torture.loop import Loop
from bench.torture.stand import Stand
from bench.torture.stream import Stream
from launchers.process import ROOT

SECONDS = 15

#: Requests a second: a worker holds those that come while a batch hangs.
RATE = 20

#: Seconds that a batch may take.
BATCH_TIMEOUT_SECONDS = 2

#: Takes the place of the inference. A fault happens once, in a batch of several texts: one that fails alone is refused.
FAULTY = """        import pathlib, time
        hang, oom = pathlib.Path("{directory}/hang"), pathlib.Path("{directory}/oom")
        if len(batch) > 1 and hang.exists():
            hang.unlink()
            time.sleep(3600)
        if len(batch) > 1 and oom.exists():
            oom.unlink()
            raise RuntimeError("std::bad_alloc: not enough memory")
        self._request.infer()
"""

PLACE = "        self._request.infer()\n"


def faults(directory: Path, model: str, jobs: Jobs) -> dict[str, Any]:
    """Cause each fault once under a steady stream through nginx; return what became of the requests."""
    tree = directory / "tree"
    shutil.copytree(ROOT / "service", tree / "service")
    for name in ("uwsgi.ini", "wsgi.py"):
        shutil.copy(ROOT / name, tree)
    backend = tree / "service/models/openvino.py"
    text = backend.read_text()
    assert text.count(PLACE) == 1
    backend.write_text(text.replace(PLACE, FAULTY.format(directory=directory)))
    with Stand(directory, tree, EMBED_MODEL=model, EMBED_BATCH_TIMEOUT=str(BATCH_TIMEOUT_SECONDS)) as stand:
        return {fault: _cause(stand, jobs, directory / fault) for fault in ("oom", "hang")}


def _cause(stand: Stand, jobs: Jobs, fault: Path) -> dict[str, Any]:
    loop = Loop()
    replaced = stand.replaced_workers()
    stream = Stream(loop, stand.nginx, [*jobs.short[:20], jobs.patient], RATE, SECONDS)
    began = time.monotonic() + 3
    loop.call_at(began, partial(fault.touch))
    loop.run(SECONDS + 30)
    answers = stream.answers()
    late = [answer.came for answer in answers if answer.seconds > 1 or answer.status != 200]
    return {
        "happened": not fault.exists(),
        "slowest_s": round(max(answer.seconds for answer in answers), 2),
        "recovered_s": round(max(0.0, max(late, default=began) - began), 2),
        "replaced_workers": stand.replaced_workers() - replaced,
        "answers": count(answers),
    }
