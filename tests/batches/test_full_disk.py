"""A disk that is full at any moment: nothing is left behind."""

import os

import pytest

from tests.batches.conftest import fill


@pytest.mark.parametrize("syncs", range(4))
def test_a_batch_leaves_nothing(store, keep, monkeypatch, syncs):
    file = keep("a")
    fill(monkeypatch, syncs)

    with pytest.raises(OSError, match="No space left"):
        store.batches.create(store.files, file)
    assert [*store.batches.directory.iterdir(), *(store.root / "work").iterdir()] == []
    assert store.files.content(file).exists()


@pytest.mark.parametrize("syncs", range(3))
def test_a_file_leaves_nothing(store, monkeypatch, syncs):
    file = store.files.begin()
    fill(monkeypatch, syncs)

    with pytest.raises(OSError, match="No space left"):
        store.files.keep(file, "a", "batch", "")
    store.files.drop(file)
    assert list(store.files.directory.iterdir()) == []


def test_a_file_whose_end_does_not_fit_can_be_dropped(store):
    file = store.files.begin()
    os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
    file.write(b"a")
    store.files.drop(file)

    assert list(store.files.directory.iterdir()) == []
