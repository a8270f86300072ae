"""What is removed, and when."""

import shutil
import time

import pytest


def test_what_has_expired_is_removed(store, create, monkeypatch):
    made, now = create("a"), time.time()
    made.enter("completed")
    store.batches.close(made)
    (store.files.directory / "left.tmp").touch()
    monkeypatch.setattr(time, "time", lambda: now + 4000)
    store.sweep()

    assert store.files.every() == store.batches.every() == list(store.files.directory.iterdir()) == []


def test_a_batch_is_kept_from_its_end_on(store, create, monkeypatch):
    made, now = create("a"), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4000)
    made.enter("completed")
    store.batches.close(made)
    store.sweep()
    assert [each.id for each in store.batches.every()] == [made.id]

    monkeypatch.setattr(time, "time", lambda: now + 8000)
    store.sweep()
    assert store.batches.every() == []


def test_what_a_killed_process_left_is_removed_in_time(store, create, monkeypatch):
    batches, over, now = store.batches, create("a"), time.time()
    over.enter("completed")
    batches.write(over)
    left = [batches.directory / name for name in (".batch_1.0a.tmp", "batch_2.cancel", f"{over.id}.cancel")]
    for path in left:
        path.touch()
    store.sweep()
    assert all(path.exists() for path in [*left, batches.directory_of(over)])

    monkeypatch.setattr(time, "time", lambda: now + 3700)
    store.sweep()
    assert [*batches.directory.iterdir(), *batches.directory_of(over).parent.iterdir()] == []


@pytest.mark.parametrize("content", [None, "torn"])
def test_what_belongs_to_a_batch_stays_while_it_may_live(store, create, monkeypatch, content):
    made, now = create("a"), time.time()
    store.batches.cancel(made)
    if content:
        (store.batches.directory / f"{made.id}.json").write_text(content)
    monkeypatch.setattr(time, "time", lambda: now + 10**6)
    store.sweep()

    assert store.batches.is_cancelled(made)
    assert store.batches.input_of(made).exists()


def test_a_batch_whose_directory_is_lost_is_found_again(store, create):
    made = create("a")
    shutil.rmtree(store.batches.directory_of(made))
    assert store.batches.live() == []

    store.sweep()
    assert [each.id for each in store.batches.live()] == [made.id]
