"""What is kept, for whom, and for how long."""

import os
from pathlib import Path

import pytest

from service.batches import batch
from service.batches.store import LOCK, Store
from service.errors import BadSetting, InvalidInput, Missing
from service.hosting import scrape


def test_a_file_is_its_owners_alone(store, keep):
    file = keep("a", owner="search")

    assert store.files.find(file.id, "search") == file
    assert (store.files.every("search"), store.files.every("other")) == ([file], [])
    with pytest.raises(Missing, match=f"there is no '{file.id}' here"):
        store.files.find(file.id, "other")


@pytest.mark.parametrize("name", ["../lock", "file-1", "batch_" + "0" * 32, ""])
def test_a_name_that_is_no_files_id_is_missing(store, name):
    with pytest.raises(Missing):
        store.files.find(name)


def test_the_newest_comes_first_and_work_begins_with_the_oldest(store, create):
    first, second = create("a"), create("b")

    assert [each.id for each in store.batches.every()] == [second.id, first.id]
    assert [each.id for each in store.batches.live()] == [first.id, second.id]


def test_what_does_not_fit_is_refused_and_deleting_makes_room(tmp_path):
    store = Store(tmp_path, 3000, 3600)
    for _ in range(2):
        file = store.files.begin()
        file.write(b"x" * 1000)
        kept = store.files.keep(file, "a", "batch", "")

    with pytest.raises(InvalidInput, match=r"may take 3000 bytes in all \(EMBED_BATCHES_BYTES\)"):
        store.files.check_room(1000)
    store.files.delete(kept)
    store.files.check_room(1000)


def test_batches_are_refused_when_their_records_might_not_fit(tmp_path):
    store = Store(tmp_path, batch.RECORD_BYTES + 3000, 3600)
    file = store.files.keep(store.files.begin(), "a", "batch", "")
    made = store.batches.create(store.files, file)

    with pytest.raises(InvalidInput, match="EMBED_BATCHES_BYTES"):
        store.batches.create(store.files, file)
    assert [each.id for each in store.batches.every()] == [each.name for each in (tmp_path / "work").iterdir()]
    made.enter("failed")
    store.batches.close(made)
    store.batches.create(store.files, file)  # one that is over needs no more room than it takes


def test_work_is_found_without_a_look_at_what_is_over(store, create, caplog):
    over, going = create("a"), create("b")
    over.enter("completed")
    store.batches.close(over)
    (store.batches.directory / f"{over.id}.json").write_text("not read, or there would be a line in the log")

    assert [each.id for each in store.batches.live()] == [going.id]
    assert caplog.messages == []


@pytest.mark.parametrize("crash", ["before its record", "before its directory is gone"])
def test_a_directory_alone_makes_no_batch_live(store, create, crash):
    made = create("a")
    if crash == "before its record":
        store.batches.remove(made.id)
    else:
        made.enter("completed")
        store.batches.write(made)

    assert store.batches.live() == []


def test_a_batch_keeps_its_requests_when_their_file_is_deleted(store, create):
    made = create("a")
    room = store.files.room()
    store.files.delete(store.files.find(made.input_file_id))

    assert b'"input": "a"' in store.batches.input_of(made).read_bytes()
    assert 0 < store.files.room() - room < 500  # the record: a file with two names counts once


def test_a_cancelled_batch_is_shown_so_at_once(store, create):
    made = create("a")
    store.batches.cancel(made)

    assert store.batches.find(made.id).status == "validating"
    assert store.batches.show(store.batches.find(made.id)).status == "cancelling"
    made.enter("completed")
    store.batches.close(made)
    with pytest.raises(InvalidInput, match="is completed, and cannot be cancelled"):
        store.batches.cancel(made)


def test_only_one_process_has_the_lock(store):
    assert store.lock(LOCK, wait=False)
    assert not store.lock(LOCK, wait=False)


def test_a_directory_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(BadSetting, match="EMBED_BATCHES=.*/file: Not a directory"):
        Store(tmp_path / "file", 1, 1)


def test_every_status_has_a_time():
    assert {f"{status}_at" for status in batch.Status.__args__} - {"validating_at"} <= set(
        batch.Batch.__struct_fields__
    )


def test_metrics_tell_how_far_batches_are(store, create):
    over, going = create("a"), create("b")
    over.request_counts = batch.Counts(3, 2, 1)
    over.enter("completed")
    store.batches.write(over)
    going.request_counts = batch.Counts(10, 4, 1)
    store.batches.write(going)
    batches, requests = scrape.describe_batches(store.batches.every())

    assert {each.labels["status"]: each.value for each in batches.samples if each.value} == {
        "completed": 1,
        "validating": 1,
    }
    assert [each.value for each in requests.samples] == [6, 2, 5]  # completed, failed, waiting


@pytest.mark.parametrize("content", [b"", b'{"id": "batch_', b'{"id": "\xff"}', b"[]"])
def test_a_damaged_record_is_left_out_and_told_of_once(store, create, caplog, content):
    good, damaged = create("a"), create("b")
    path = store.batches.directory / f"{damaged.id}.json"
    path.write_bytes(content)
    store.sweep()

    assert [each.id for each in store.batches.every()] == [each.id for each in store.batches.live()] == [good.id]
    with pytest.raises(Missing):
        store.batches.find(damaged.id)
    (line,) = caplog.messages
    assert line.startswith(f"{path} is damaged and left out: ")


def test_a_written_record_and_its_name_are_on_the_disk(store, create, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink()))
    made = create("a")

    assert synced[-1] == store.batches.directory
    assert synced[-2].name.startswith(f".{made.id}.")
