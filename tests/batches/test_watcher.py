"""The process that waits for batches, as a program that a test may kill."""

import os
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys
from pathlib import Path
from service import logs
from service.batches import watcher
from service.batches.store import Store
from service.settings import Settings
from tests.batches.test_runner import prepare
from tests.bulk import corpus
if __name__ == "__main__":
    logs.set_up_logging()
    watcher.watch(Store(Path(sys.argv[1]), 2**20, 3600), Settings(device="cpu"), prepare, corpus.load)
"""


@pytest.fixture
def start(tmp_path, store):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    started = []

    def start(log):
        """Start a watcher, and wait until it says this."""
        path = tmp_path / f"log.{len(started)}"
        with path.open("w") as file:
            command = [sys.executable, program, store.root]
            started.append(subprocess.Popen(command, env=os.environ | {"PYTHONPATH": "."}, stderr=file))
        wait_for(lambda: log in path.read_text())
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_watcher_waits_and_takes_the_place_of_the_first(start, store, create):
    first = start("are run by this process")
    start("this one waits for its end")
    first.kill()
    batch = create("a", "b")

    wait_for(lambda: store.batches.find(batch.id).status == "completed")
