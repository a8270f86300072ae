"""A run: every row once, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.bulk import pool
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.suspects import Suspects
from service.errors import BulkFailed
from tests.bulk import corpus
from tests.fakes import FakeModel, vector_of

#: Runs a corpus in a process of its own, which a test may kill.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from tests.bulk import corpus
if __name__ == "__main__":
    path, out, go = map(Path, sys.argv[1:])
    load = partial(corpus.load_held, go)
    done = corpus.embed(path, out, load, devices=("cpu", "cpu"), settings=corpus.PATIENT)
    sys.exit(0 if done.complete else 130)
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def go(tmp_path):
    return tmp_path / "go"


@pytest.fixture
def start(tmp_path, out, go):
    """Start a run of 2000 rows, of which 500 are computed before ``go`` is there; wait until there is a part."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = corpus.write(tmp_path / "a.jsonl", corpus.held_texts(500, 1500))
    started = []

    def start():
        command = [sys.executable, program, path, out, go]
        started.append(subprocess.Popen(command, env=os.environ | {"PYTHONPATH": "."}))
        wait_for(lambda: list(out.glob("part-*")))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def test_every_row_has_its_vector_in_the_order_of_the_input(tmp_path, out):
    texts = corpus.texts(120)

    done = corpus.embed(corpus.write(tmp_path / "a.jsonl", texts), out, devices=("cpu", "cpu"))

    rows = corpus.rows(out)
    assert [row["id"] for row in rows] == [f"d{index}" for index in range(120)]
    assert [row["vector"] for row in rows] == [vector_of(text) for text in texts]
    assert [row["tokens"] for row in rows] == [len(text) for text in texts]
    assert (done.complete, done.rows, done.failed) == (True, 120, 0)
    assert [part.rows for part in done.parts] == [50, 50, 20]


def test_a_second_run_does_nothing_again(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(120))
    corpus.embed(path, out)
    before = {part: part.stat().st_ino for part in out.glob("part-*")}

    done = corpus.embed(path, out)

    assert {part: part.stat().st_ino for part in out.glob("part-*")} == before
    assert (done.complete, done.rows) == (True, 120)


def test_an_input_that_grew_keeps_the_parts_that_were_full(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(120))
    corpus.embed(path, out)
    before = {part.name for part in out.glob("part-*")}

    corpus.embed(corpus.write(path, corpus.texts(170)), out)

    assert len(before & {part.name for part in out.glob("part-*")}) == 2
    assert [row["id"] for row in corpus.rows(out)] == [f"d{index}" for index in range(170)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"loader": corpus.load_renamed}, r"fingerprint: of fake fafafafafafa -> 0b0b0b0b0b0b of fake"),
        ({"dimensions": 2}, "dimensions: null -> 2"),
        ({"shard_rows": 60}, "shard_rows: 50 -> 60"),
    ],
)
def test_what_has_changed_is_refused_unless_fresh(tmp_path, out, change, complaint):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(70))
    corpus.embed(path, out)

    with pytest.raises(BulkFailed, match=complaint):
        corpus.embed(path, out, **change)
    assert corpus.embed(path, out, **change, fresh=True).rows == len(corpus.rows(out)) == 70


def test_devices_with_different_models_are_refused(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(120))

    with pytest.raises(BulkFailed, match="the devices run different models or dtypes; EMBED_DTYPE names one"):
        corpus.embed(path, out, corpus.load_mixed, devices=("cpu", "cpu"))


def test_a_bad_row_has_its_reason_and_the_others_their_vectors(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", ["good", "poison", "fine"])
    path.write_text(path.read_text() + 'no json\n{"id": "n", "text": null}\n{"id": "five", "text": 5}\n')

    done = corpus.embed(path, out)

    rows = corpus.rows(out)
    assert [row["vector"] for row in rows] == [vector_of("good"), None, vector_of("fine"), None, None, None]
    assert (done.rows, done.failed) == (6, 4)
    reasons = [row["error"] for row in rows if row["error"]]
    assert reasons[0] == "row 2 of the input: the model failed on its text"
    assert [reason.split(": ")[0][-5:] for reason in reasons[1:]] == ["row 4", "row 5", "row 6"]
    assert corpus.embed(path, out).failed == 4


def test_a_text_that_ends_processes_is_a_bad_row(tmp_path, out):
    texts = corpus.texts(120)
    texts[60] = "deadly"

    done = corpus.embed(corpus.write(tmp_path / "a.jsonl", texts), out, corpus.load_slow)

    assert [row["id"] for row in corpus.rows(out) if row["error"]] == ["d60"]
    assert (done.complete, done.rows, done.failed) == (True, 120, 1)


def test_a_text_is_not_blamed_for_the_end_of_an_earlier_run(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", ["fine"])
    out.mkdir()
    lane = Lane(FakeModel(), Limits())
    for _ in range(2):
        Suspects(out / ".process-1").begin(lane.model.tokenize(["fine"]).ids, lane.person)

    assert corpus.embed(path, out).failed == 0


def test_a_part_over_which_too_many_processes_die_is_given_up(tmp_path, out, monkeypatch):
    monkeypatch.setattr(pool, "MAX_DEATHS", 1)
    texts = ["fine"] * 50 + ["deadly"] * 20

    done = corpus.embed(corpus.write(tmp_path / "a.jsonl", texts), out, corpus.load_slow)

    assert not done.complete
    assert done.rows == len(corpus.rows(out)) < 70


def test_a_process_that_dies_while_it_loads_is_replaced(tmp_path, out, monkeypatch):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(120))
    monkeypatch.chdir(tmp_path)

    assert corpus.embed(path, out, corpus.load_at_the_third_try).complete
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_model_over_which_every_process_dies_ends_the_run(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(120))

    with pytest.raises(BulkFailed, match="3 processes of cpu in a row .* killed by signal 9: memory ran out"):
        corpus.embed(path, out, corpus.load_never)


def test_a_full_disk_ends_the_run_in_one_sentence(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(1000))

    with pytest.raises(BulkFailed, match=r"out: File too large"):
        corpus.embed(path, out, corpus.load_on_a_full_disk, shard_rows=1000)
    assert corpus.embed(path, out, shard_rows=1000).rows == len(corpus.rows(out)) == 1000


def test_two_runs_do_not_write_into_one_directory(tmp_path, out, start):
    start()

    with pytest.raises(BulkFailed, match="another run writes into"):
        corpus.embed(tmp_path / "a.jsonl", out)


def test_a_signal_finishes_the_parts_under_way(out, start, go):
    process = start()
    process.send_signal(signal.SIGINT)
    go.touch()

    assert process.wait(300) == 130
    manifest = json.loads((out / "_manifest.json").read_text())
    assert not manifest["complete"]
    assert 0 < manifest["rows"] == len(corpus.rows(out)) < 2000
    assert list(out.glob(".part*")) == []


def test_a_killed_device_process_is_replaced(out, start, go):
    process = start()
    children = [
        int(child)
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]

    os.kill(children[0], signal.SIGKILL)
    go.touch()

    assert process.wait(300) == 0
    assert [row["id"] for row in corpus.rows(out)] == [f"d{index}" for index in range(2000)]


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
