"""Which process a server forks, and how many share the cores, seen from inside."""

import os
import sys
import threading
import types

import pytest

from service.hosting import gunicorn, server


class Worker:
    def __init__(self):
        self.beats = 0
        self.has_beaten = threading.Event()

    def notify(self):
        self.beats += 1
        self.has_beaten.set()


class Arbiter:
    num_workers = 3
    pid = os.getpid()


def module(name, source):
    """A module in whose name ``source`` runs, as the stack shows it."""
    made = types.ModuleType(name)
    exec(source, made.__dict__)
    return made


@pytest.fixture
def spawn_worker(monkeypatch):
    """gunicorn's: ``spawn_worker(arbiter, worker, act)`` runs ``act`` under it."""
    arbiter = module("gunicorn.arbiter", "def spawn_worker(self, worker, act): return act()")
    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", arbiter)
    return arbiter.spawn_worker


@pytest.fixture
def parent():
    """An arbiter in another process than this one, as a worker sees it."""
    arbiter = Arbiter()
    arbiter.pid = os.getppid()
    return arbiter


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_gunicorns_arbiter_will_fork_and_its_workers_will_not(spawn_worker, parent):
    assert server.will_fork()
    assert spawn_worker(parent, Worker(), server.will_fork) is False


def test_gunicorns_pre_fork_hook_runs_in_the_arbiter(spawn_worker):
    assert spawn_worker(Arbiter(), Worker(), server.will_fork)


def test_gunicorns_worker_count_is_the_arbiters(spawn_worker, parent):
    assert spawn_worker(parent, Worker(), server.worker_count) == 3


def test_uvicorns_worker_count_is_its_configurations():
    process = module("uvicorn._subprocess", "def subprocess_started(config, act): return act()")

    assert process.subprocess_started(types.SimpleNamespace(workers=4), server.worker_count) == 4


def test_another_server_does_not_tell_its_worker_count():
    assert server.worker_count() == 0


def test_only_a_worker_of_the_arbiter_loads(spawn_worker):
    """Not a further child of the arbiter, nor one that the worker forks later."""

    def arbiter_process():
        loads = []
        gunicorn.after_fork(lambda: loads.append(os.getpid()))

        def fork():
            child = os.fork()
            if child == 0:  # a worker, and then its child
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(len(loads) != 1)
                os._exit(exit_code(grandchild) or loads != [os.getpid()])
            return exit_code(child)

        other = os.fork()
        if other == 0:
            os._exit(bool(loads))
        return exit_code(other) or spawn_worker(Arbiter(), Worker(), fork)

    child = os.fork()  # or the hook would stay in this process
    if child == 0:
        Arbiter.pid = os.getpid()
        os._exit(arbiter_process())

    assert exit_code(child) == 0


def test_a_worker_that_loads_tells_the_arbiter_that_it_lives(spawn_worker, parent, monkeypatch):
    monkeypatch.setattr(gunicorn, "HEARTBEAT_SECONDS", 0.01)
    worker = Worker()

    def load():
        with gunicorn.heartbeat():
            return worker.has_beaten.wait(60)

    assert spawn_worker(parent, worker, load)
    beats = worker.beats
    assert "heartbeat" not in [thread.name for thread in threading.enumerate()]
    assert worker.beats == beats


def test_where_no_arbiter_waits_nothing_beats():
    with gunicorn.heartbeat():
        assert "heartbeat" not in [thread.name for thread in threading.enumerate()]
