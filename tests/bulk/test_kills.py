"""A run that is killed again and again, with the real command and model."""

import os
import random
import subprocess
import sys
import time

import pytest

from tests.bulk import corpus
from tests.bulk.test_runner import wait_for

#: `make test-kills` takes 20.
KILLS = int(os.environ.get("BULK_KILLS", "4"))

#: The longest time from the first part to the kill. Rows are many enough that most kills find the run at work.
LIFE_SECONDS = 0.3
ROWS = 200 * KILLS

OPTIONS = ["--id", "id", "--write", "jsonl", "--shard-rows", "10", "--devices", "cpu:2"]


@pytest.fixture
def start(tmp_path, cache):
    path = corpus.write(tmp_path / "a.jsonl", [text.replace("x", " x") for text in corpus.texts(ROWS)])
    command = [sys.executable, "-m", "service", "bulk", path, *OPTIONS, "--out"]

    def start(out):
        return subprocess.Popen([*command, out], env=os.environ | {"EMBED_CACHE_DIR": str(cache)})

    return start


def count(out):
    return len(list(out.glob("part-*")))


@pytest.mark.model
def test_a_run_that_is_often_killed_ends_as_an_undisturbed_one(tmp_path, start):
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    moments = random.Random(7)
    for _ in range(KILLS):
        before, process = count(out), start(out)
        wait_for(lambda: count(out) > before or process.poll() is not None)  # noqa: B023  # it waits here
        time.sleep(moments.uniform(0, LIFE_SECONDS))
        process.kill()
        process.wait()
    assert start(out).wait(300) == 0
    assert start(undisturbed).wait(300) == 0

    assert [row["id"] for row in corpus.rows(out)] == [f"d{index}" for index in range(ROWS)]
    assert corpus.rows(out) == corpus.rows(undisturbed)
    assert {part.name for part in out.glob("part-*")} == {part.name for part in undisturbed.glob("part-*")}
