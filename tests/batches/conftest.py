import errno
import json
import os

import pytest

from service.batches.store import Store

MAX_BYTES = 2**24


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "batches", MAX_BYTES, 3600)


@pytest.fixture
def keep(store):
    """Upload lines, or requests for these texts: ``keep("a", "b")``."""

    def keep(*texts, owner="", lines=None):
        file = store.files.begin()
        file.write("\n".join(lines or [request(f"r{index}", text) for index, text in enumerate(texts)]).encode())
        return store.files.keep(file, "a.jsonl", "batch", owner)

    return keep


@pytest.fixture
def create(store, keep):
    """Create a batch of requests for these texts."""
    return lambda *texts, **options: store.batches.create(store.files, keep(*texts, **options), None)


def request(custom_id, text, url="/v1/embeddings", **members):
    body = {"input": text, "model": "fake"} | members
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def fill(monkeypatch, syncs=0):
    """Have the disk be full after so many files and directories reached it."""
    fitting = iter(range(syncs))

    def sync(_):
        if next(fitting, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
