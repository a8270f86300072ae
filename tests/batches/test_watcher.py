"""The process that waits for batches, as a program that a test may kill."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from service.batches.watcher import MAX_DEATHS, blame
from tests.batches.conftest import request

PROGRAM = """
import os
import signal
import sys
from pathlib import Path
from service import logs
from service.batches import watcher
from service.batches.store import Store
from service.errors import ModelUnusable
from service.settings import Settings
from tests.bulk import corpus

def prepare(settings, name):
    if name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "later" and not Path(sys.argv[1], "ready").exists():
        raise ModelUnusable("not yet")
    return settings

if __name__ == "__main__":
    logs.set_up_logging()
    watcher.RETRY_SECONDS = 0.0
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


def test_a_batch_over_which_its_process_dies_fails_alone(start, store, create):
    deadly, good = create(lines=[request("a", "x", model="deadly")]), create("a", "b")
    start("are run by this process")
    wait_for(lambda: store.batches.find(good.id).status == "completed")
    (mistake,) = store.batches.find(deadly.id).errors.data

    assert mistake.code == "server_error"
    assert f"died {MAX_DEATHS} times without a new part, the last time by signal 9: memory ran out" in mistake.message


def test_a_batch_whose_model_cannot_be_prepared_is_tried_on(start, store, create, tmp_path):
    batch = create(lines=[request("a", "x", model="later")])
    watcher = start("are run by this process")
    wait_for(lambda: (tmp_path / "log.0").read_text().count("batches wait: not yet") > MAX_DEATHS)
    assert watcher.poll() is None
    (store.root / "ready").touch()

    wait_for(lambda: store.batches.find(batch.id).status == "completed")


def test_deaths_count_until_a_batch_gets_further(store, create):
    batch, deaths = create("a"), Counter()
    for index in range(3):
        (store.batches.directory_of(batch) / f"part-{index}").touch()
        for _ in range(MAX_DEATHS - 1):
            blame(store, deaths, 1)
    assert store.batches.find(batch.id).is_live

    blame(store, deaths, 1)
    (mistake,) = store.batches.find(batch.id).errors.data
    assert "with status 1; the log of the service has the reason" in mistake.message


def test_deaths_count_for_the_batch_whose_turn_it_was(store, create):
    first, cancelled = create("a"), create("b")
    store.batches.cancel(cancelled)
    deaths = Counter()
    for _ in range(MAX_DEATHS):
        blame(store, deaths, -9)

    assert [store.batches.find(each.id).status for each in (first, cancelled)] == ["validating", "failed"]
