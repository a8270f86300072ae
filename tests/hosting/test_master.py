"""The master from outside: what it answers, late or in part too, and how a rolling reload goes on."""

import contextlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import CommandFailed, MasterBusy
from service.hosting import master
from service.hosting.master import Master, Rollout, Worker


def stats(*workers):
    """``stats`` of uWSGI with the given (pid, accepting), numbered from 1."""
    shown = [
        {"id": i, "pid": pid, "accepting": accepting, "respawn_count": 1, "cores": [{"in_request": 0}]}
        for i, (pid, accepting) in enumerate(workers, 1)
    ]
    return json.dumps({"workers": shown}).encode()


def worker(number, pid, accepting):
    return Worker(number, pid, accepting, 1, [])


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """A master that gives ``answer(...)`` one after the other and then the last again; None is silence."""
    monkeypatch.setattr(master, "STATS_TIMEOUT_SECONDS", 60.0)
    (tmp_path / "fifo").touch()
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor() as pool:
        listener.bind(str(tmp_path / "stats"))
        listener.listen(100)

        def serve(answers):
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    tell(listener.accept()[0], answers.pop(0) if len(answers) > 1 else answers[0])

        def tell(connection, told):
            with connection, contextlib.suppress(OSError):
                connection.sendall(told) if told is not None else ended.wait()

        def answer(*answers):
            pool.submit(serve, list(answers))
            return Master(tmp_path)

        yield answer
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


BEFORE, AFTER = stats((1, 1), (2, 1)), stats((3, 1), (4, 1))


def test_the_workers_are_read(answer):
    assert [worker.pid for worker in answer(BEFORE).workers()] == [1, 2]


def test_a_header_that_is_not_utf_8_is_no_obstacle(answer):
    told = BEFORE.replace(b'{"workers"', b'{"vars": ["HTTP_X=\xff\xfe"], "workers"')

    assert len(answer(told).workers()) == 2


@pytest.mark.parametrize("told", [b"", b'{"workers": [{"id": 1, "pi', BEFORE[:-1]])
def test_a_truncated_answer_says_that_the_master_is_busy(answer, told):
    with pytest.raises(MasterBusy, match="incomplete"):
        answer(told).workers()


def test_no_answer_in_time_says_that_the_master_is_busy(answer, monkeypatch):
    monkeypatch.setattr(master, "STATS_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(MasterBusy, match="does not answer"):
        answer(None).workers()


def test_where_no_master_runs_a_reload_fails_at_once(tmp_path):
    with pytest.raises(CommandFailed, match="no uWSGI answers"):
        Master(tmp_path).reload(999)


def test_a_reload_asks_again_until_the_master_answers_in_full(answer):
    answers = [b"", BEFORE, BEFORE, b"", AFTER[:-9], stats((3, 1), (2, 1)), b"", AFTER]

    answer(*answers).reload(60)


def test_a_reload_whose_master_stays_silent_fails_in_time(answer, monkeypatch):
    monkeypatch.setattr(master, "STATS_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(CommandFailed, match="does not answer"):
        answer(BEFORE, None).reload(0.2)


def test_a_reload_names_the_workers_that_are_not_replaced(answer):
    with pytest.raises(CommandFailed, match="worker 2 is not replaced yet"):
        answer(BEFORE, stats((3, 1), (2, 1))).reload(0.2)


def test_a_worker_that_never_accepts_does_not_start():
    rollout = Rollout([worker(1, 10, 1)])
    assert rollout.advance([worker(1, 10, 1)]) == [1]
    assert rollout.advance([worker(1, 11, 0)]) == [1]
    assert rollout.advance([worker(1, 0, 0)]) == [1]

    with pytest.raises(CommandFailed, match="worker 1 does not start: it ended before it accepted requests"):
        rollout.advance([worker(1, 12, 0)])


def test_a_killed_worker_is_no_failed_start():
    """Neither an old one nor one that was ready."""
    rollout = Rollout([worker(1, 10, 1), worker(2, 20, 1)])
    assert rollout.advance([worker(1, 11, 0), worker(2, 20, 1)]) == [1, 2]
    assert rollout.advance([worker(1, 11, 1), worker(2, 21, 0)]) == [2]  # 20 was killed
    assert rollout.advance([worker(1, 12, 0), worker(2, 21, 1)]) == [1]  # 11 was killed
    assert rollout.advance([worker(1, 12, 1), worker(2, 22, 0)]) == [2]  # 21 is replaced in its turn

    assert rollout.advance([worker(1, 12, 1), worker(2, 22, 1)]) == []
