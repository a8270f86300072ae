"""Load from ``wrk``, a client in C that uses little CPU."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.texts import Workload

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{close}
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
math.randomseed({seed})
local turn = math.random(#bodies)
function request()
    turn = turn % #bodies + 1
    return wrk.format(nil, "{path}", nil, bodies[turn])
end
{delay}
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("BENCH %d %d %f %f %f %f\\n", summary.requests,
        errors.connect + {read} + errors.write + errors.timeout + errors.status,
        summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
"""

#: For a server that closes connections without announcing it.
CLOSE = 'wrk.headers["Connection"] = "close"'

#: Exponential pauses make the arrivals of many clients nearly a Poisson process.
DELAY = "function delay() return -1000 * {pause} * math.log(1 - math.random()) end"


class Measurement(NamedTuple):
    """The result of one run; percentiles of the latency in milliseconds."""

    requests_per_second: float
    texts_per_second: float
    p50: float
    p95: float
    p99: float
    errors: int


def run(
    url: str, path: str, model: str, workload: Workload, seconds: float, seed: int = 1, *, close: bool = False
) -> Measurement:
    """Send a workload for some seconds, with keep-alive unless ``close``."""
    with tempfile.TemporaryDirectory() as directory:
        bodies, script = Path(directory) / "bodies", Path(directory) / "script.lua"
        bodies.write_text("".join(body(texts, model, workload.encoding) + "\n" for texts in workload.texts))
        read = "0" if close else "errors.read"  # wrk counts a close after a complete answer as one
        delay = DELAY.format(pause=workload.pause) if workload.pause else ""
        script.write_text(
            SCRIPT.format(bodies=bodies, path=path, seed=seed, delay=delay, close=CLOSE if close else "", read=read)
        )
        wrk = subprocess.run(
            ["wrk", "-t1", f"-c{workload.clients}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script), url],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"^BENCH (.*)$", wrk.stdout, re.MULTILINE)
    assert found, wrk.stdout + wrk.stderr
    requests, errors, duration, *percentiles = map(float, found[1].split())
    rate = (requests - errors) / duration
    p50, p95, p99 = percentiles
    return Measurement(rate, rate * len(workload.texts[0]), p50, p95, p99, int(errors))


def body(texts: list[str], model: str, encoding: str) -> str:
    """Build a request body; omit ``encoding_format`` for floats, since some contenders reject it."""
    extra = {} if encoding == "float" else {"encoding_format": encoding}
    return json.dumps({"input": texts, "model": model, **extra})
