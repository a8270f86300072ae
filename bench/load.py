"""Load from ``wrk``: a client in C, so that it leaves the cores to the servers."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.texts import Workload

#: wrk tells each of its percentiles as 1.23ms, 45.60us or 1.20s.
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}

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

#: For a server that closes without saying so.
CLOSE = 'wrk.headers["Connection"] = "close"'

#: Exponential pauses: with many clients the arrivals are nearly a Poisson process.
DELAY = "function delay() return -1000 * {pause} * math.log(1 - math.random()) end"


class Measured(NamedTuple):
    """What one run of a workload came to; times in milliseconds."""

    requests_per_second: float
    texts_per_second: float
    p50: float
    p95: float
    p99: float
    errors: int


def run(
    url: str, path: str, model: str, workload: Workload, seconds: float, seed: int = 1, *, close: bool = False
) -> Measured:
    """Send a workload for some seconds, on connections that are kept or, with ``close``, made anew for each request."""
    with tempfile.TemporaryDirectory() as directory:
        bodies, script = Path(directory) / "bodies", Path(directory) / "script.lua"
        bodies.write_text("".join(body(texts, model, workload.encoding) + "\n" for texts in workload.texts))
        read = "0" if close else "errors.read"  # the close after a whole answer counts as one
        delay = DELAY.format(pause=workload.pause) if workload.pause else ""
        script.write_text(
            SCRIPT.format(bodies=bodies, path=path, seed=seed, delay=delay, close=CLOSE if close else "", read=read)
        )
        done = subprocess.run(
            ["wrk", "-t1", f"-c{workload.clients}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script), url],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"^BENCH (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    requests, errors, duration, *percentiles = map(float, found[1].split())
    rate = (requests - errors) / duration
    p50, p95, p99 = percentiles
    return Measured(rate, rate * len(workload.texts[0]), p50, p95, p99, int(errors))


def body(texts: list[str], model: str, encoding: str) -> str:
    """Build a request; a contender that does not know ``encoding_format`` is never sent it."""
    extra = {} if encoding == "float" else {"encoding_format": encoding}
    return json.dumps({"input": texts, "model": model, **extra})
