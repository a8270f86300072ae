"""A digest is never that of another content, and is computed again only when it must be."""

import os
import time
from types import SimpleNamespace

import pytest

from service.models import digests


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def compute(file):
    return lambda: digests.compute(file.parent, [file.name], file.with_suffix(".memo"))["weights"]


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(digests, "SETTLED_NS", -(10**12))


def tick():
    """Wait until the file system's clock has moved on."""
    time.sleep(0.05)


def test_a_digest_is_the_sha256(compute):
    assert compute() == "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"


@pytest.mark.usefixtures("settled")
def test_a_file_that_did_not_change_is_not_read_again(compute, monkeypatch):
    before = compute()
    monkeypatch.setattr(digests.hashlib, "file_digest", None)

    assert compute() == before


@pytest.mark.usefixtures("settled")
def test_equal_size_and_mtime_with_other_content_is_noticed(file, compute):
    before, times = compute(), file.stat()
    tick()
    file.write_bytes(b"new")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert compute() != before


@pytest.mark.usefixtures("settled")
def test_a_file_that_was_replaced_is_noticed(file, compute):
    other = file.with_name("other")
    other.write_bytes(b"new")
    for each in (file, other):
        os.utime(each, ns=(0, 0))
    before = compute()
    other.replace(file)

    assert compute() != before


def test_two_changes_in_one_tick_of_the_clock_are_noticed(file, compute, monkeypatch):
    """They leave the same times, so the digest of a file that has just changed is not kept."""
    real, now = os.fstat, time.time_ns() + 3600 * 10**9

    def stopped(descriptor):
        stat = real(descriptor)
        return SimpleNamespace(
            st_dev=stat.st_dev, st_ino=stat.st_ino, st_size=stat.st_size, st_mtime_ns=now, st_ctime_ns=now
        )

    monkeypatch.setattr(digests.os, "fstat", stopped)
    before = compute()
    file.write_bytes(b"new")

    assert compute() != before


@pytest.mark.usefixtures("settled")
def test_a_memo_that_is_garbage_is_not_used(file, compute):
    before = compute()
    file.with_suffix(".memo").write_text("{")

    assert compute() == before


def test_without_room_for_a_memo_files_are_hashed_each_time(file):
    nowhere = file.parent / "nowhere/memo"

    assert digests.compute(file.parent, [file.name], nowhere) == digests.compute(file.parent, [file.name])
