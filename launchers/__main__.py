"""``python -m launchers``: start each launcher with each app, record which process does what, print the table."""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from launchers.commands import LAUNCHERS, Launcher
from launchers.process import ROOT, Process, free_port
from service.models import sources

#: A request that takes longer counts as hanging: the slowest correct first answer takes one second.
REQUEST_TIMEOUT_SECONDS = 8

VERSIONS = ("flask", "gunicorn", "openvino", "torch", "uvicorn", "uwsgi", "waitress")


class Observation(NamedTuple):
    """The run of one launcher with one app."""

    imported: str
    loaded: str
    first: str
    verdict: str


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m launchers", description=__doc__)
    parser.add_argument("--apps", default="device,torch,service", help="some of device, cuda, torch, service")
    parser.add_argument("--only", default="", help="only launchers whose name contains this")
    parser.add_argument("--json", type=Path, help="write the observations to this file too")
    options = parser.parse_args()
    seen: dict[str, dict[str, Observation]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for app in options.apps.split(","):
            for launcher in LAUNCHERS:
                if options.only in launcher.name:
                    seen.setdefault(launcher.name, {})[app] = _observe(launcher, app, Path(directory))
                    print(f"{launcher.name}, {app}: {seen[launcher.name][app].verdict}", file=sys.stderr, flush=True)
    print(_format_table(seen))
    if options.json:
        record = {"date": datetime.now(UTC).date().isoformat(), "versions": {name: version(name) for name in VERSIONS}}
        record["seen"] = {name: {app: one._asdict() for app, one in row.items()} for name, row in seen.items()}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _observe(launcher: Launcher, app: str, directory: Path) -> Observation:
    """Start one launcher, send four requests at once, and end it."""
    port = free_port()
    env = os.environ | {
        "LAB_APP": app,
        "LAB_DEVICE": str(_compile_device(directory)),
        "BENCH_MODEL": str(sources.find("all-MiniLM-L6-v2").directory),
        "PYTHONPATH": str(ROOT),
    }
    log = directory / "log"
    log.unlink(missing_ok=True)
    process = Process(launcher.words(port), log, env=env)
    try:
        _wait_until_up(process, port)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(_ask, [port] * 4))
    finally:
        process.kill()
    return _judge(process.log, answers)


def _format_table(seen: dict[str, dict[str, Observation]]) -> str:
    """Return a Markdown table with a row for each launcher."""
    apps = list(next(iter(seen.values())))
    header = [
        "launcher",
        *(f"{app}: imported / loaded / first answer / verdict" for app in apps),
        "the notes say",
        "and that",
    ]
    lines = [header, ["---"] * len(header)]
    claims = {launcher.name: launcher.claim for launcher in LAUNCHERS}
    for name, row in seen.items():
        cells = [f"{one.imported} / {one.loaded} / {one.first} / **{one.verdict}**" for one in row.values()]
        lines.append([f"`{name}`", *cells, claims[name], _compare(claims[name], row)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _compare(claim: str, row: dict[str, Observation]) -> str:
    """Compare a claim with the runs of the notes' app on every device."""
    notes = [one.verdict for app, one in row.items() if app != "service"]
    if not claim or not notes:
        return ""
    works = all(verdict == "works" for verdict in notes)
    return "holds" if works == (claim == "works") else "does **not** hold"


def _judge(log: str, answers: list[tuple[str, float]]) -> Observation:
    pids = {
        event: [int(pid) for pid in re.findall(rf"LAB {event} (\d+)", log)] for event in ("import", "load", "serve")
    }
    importers, servers = set(pids["import"]), set(pids["serve"])
    imported = "each worker" if servers and servers <= importers else f"{len(importers)} before the fork"
    loaded = (
        "each worker" if pids["load"] and servers <= set(pids["load"]) else "before the fork" if pids["load"] else ""
    )
    results = [result for result, _ in answers]
    good = results.count("right")
    verdict = "works" if good == len(results) else next(result for result in results if result != "right")
    if 0 < good < len(results):
        verdict = f"fails for {len(results) - good} of {len(results)}: {verdict}"
    return Observation(imported, loaded or "each worker", f"{answers[0][1]:.1f} s", verdict)


def _ask(port: int) -> tuple[str, float]:
    body = json.dumps({"input": ["a text"] * 32}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/embed", body, {"Content-Type": "application/json"})
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            result = "right" if len(json.load(answer)["data"]) == 32 else "wrong"
    except urllib.error.HTTPError as error:
        result = f"error {error.code}"
    except TimeoutError:
        result = "hangs"
    except OSError:
        result = "no answer"
    return result, time.monotonic() - started


def _wait_until_up(process: Process, port: int, seconds: float = 90) -> None:
    """Wait until the port is open and the processes are idle: many servers listen before they load."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.popen.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    process.settle(quiet=0.7)


def _compile_device(directory: Path) -> Path:
    library = directory / "device.so"
    if not library.exists():
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-pthread", "-o", library, ROOT / "launchers" / "device.c"], check=True
        )
    return library


if __name__ == "__main__":
    _main()
