"""Each process makes its own of what it may not inherit."""

import os
import signal
import threading
from pathlib import Path

import pytest

from launchers.commands import LAUNCHERS
from service.errors import ForkedAfterLoad
from service.hosting import server
from service.hosting.per_process import PerProcess

DOCS = Path(__file__).parent.parent.parent / "docs"


def in_child(act):
    """Run ``act`` in a forked child and return its exit status."""
    child = os.fork()
    if child == 0:
        os._exit(act())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_where_no_fork_follows_it_is_made_at_once():
    made = []
    own = PerProcess(lambda: made.append(os.getpid()) or "value")
    own.prepare()

    assert made == [os.getpid()]
    assert own.get() == "value"
    assert len(made) == 1


def test_where_a_fork_follows_it_is_left_to_the_hook(monkeypatch):
    hooks = []
    monkeypatch.setattr(server, "will_fork", lambda: True)
    monkeypatch.setattr(server, "after_fork", hooks.append)
    own = PerProcess(os.getpid)
    own.prepare()

    assert in_child(lambda: hooks[0]() or own.get() != os.getpid()) == 0


def test_an_unforeseen_fork_makes_its_own_on_first_use(monkeypatch):
    monkeypatch.setattr("service.hosting.per_process.sys.modules", {})
    own = PerProcess(os.getpid)
    own.prepare()

    assert in_child(lambda: own.get() != os.getpid()) == 0
    assert own.get() == os.getpid()


def test_a_fork_while_another_thread_loads_blocks_nobody(monkeypatch):
    monkeypatch.setattr("service.hosting.per_process.sys.modules", {})
    loading, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def make():
        if os.getpid() == parent:
            loading.set()
            go_on.wait(60)
        return os.getpid()

    own = PerProcess(make)
    thread = threading.Thread(target=own.get)
    thread.start()
    loading.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(own.get() != os.getpid())
    go_on.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_with_torch_loaded_it_refuses_instead(monkeypatch):
    monkeypatch.setattr("service.hosting.per_process.sys.modules", {"torch": None})
    own = PerProcess(os.getpid)
    own.prepare()
    monkeypatch.setattr(os, "getpid", lambda: -1)

    with pytest.raises(ForkedAfterLoad, match="forked after the model was loaded"):
        own.get()


@pytest.mark.parametrize("document", ["forking.md", "forking.zh.md"])
def test_the_published_table_has_every_launcher(document):
    """The service works under each."""
    rows = [line.split("|") for line in (DOCS / document).read_text().split("\n") if line.startswith("| `")]

    assert [row[1].strip(" `") for row in rows if len(row) > 6] == [launcher.name for launcher in LAUNCHERS]
    assert all("**works**" in row[4] for row in rows if len(row) > 6)
