"""Starting, stopping, reloading and failing, for real."""

import contextlib
import os
import re
import select
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.hosting.master import STATS_TIMEOUT_SECONDS, Master
from service.models import sources
from tests.deploy.stage import copy_tree, held_text

pytestmark = [pytest.mark.server, pytest.mark.model]


@pytest.fixture
def tree(tmp_path):
    """A copy of the service that a test may change."""
    (tmp_path / "tree").mkdir()
    return copy_tree(tmp_path / "tree")


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def commands(service):
    """The command lines of a service's processes, one after the other."""
    found = []
    for pid in service.pids():
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text())
    return "\n".join(found)


@pytest.mark.parametrize("to_group", [False, True], ids=["master", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_finishes_the_requests_in_flight(start_holding, tmp_path, number, to_group):
    service = start_holding().wait_until_ready()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(service.post, [held_text(150), str(i)]) for i in range(4)]
        service.wait_for(lambda: sum(core["in_request"] for core in service.stats()["workers"][0]["cores"]) == 4)
        (os.killpg if to_group else os.kill)(service.popen.pid, number)
        service.wait_for(lambda: "Gracefully killing worker 1" in service.log)
        (tmp_path / "150").touch()

        assert [len(answer.result().json()["data"]) for answer in answers] == [2] * 4
    assert service.exit_code() == 0


def test_a_stop_while_the_model_loads_is_heard(start):
    service = start(workers=2)
    service.wait_for(lambda: "spawned uWSGI worker 2" in service.log)
    time.sleep(1)
    service.popen.terminate()

    service.exit_code()


@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_a_stop_at_any_moment_of_a_workers_start_is_heard(start, delay):
    service = start().wait_until_ready()
    os.kill(*service.workers(), signal.SIGKILL)
    service.wait_for(lambda: "Respawned uWSGI worker 1" in service.log)
    time.sleep(delay)
    service.popen.terminate()

    assert service.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_a_stop_at_any_moment_of_the_check_ends_everything(start, tree, delay, number):
    replace(tree / "service/__main__.py", "    sys.exit(main())", "    main()\n    __import__('time').sleep(600)")
    service = start(cwd=tree, ini=tree / "uwsgi.ini")
    service.wait_for(lambda: "service\0check" in commands(service))
    time.sleep(delay)
    service.popen.send_signal(number)

    assert service.exit_code() == 0
    assert commands(service) == ""


def test_a_stop_while_the_model_is_compiled_ends_the_compiler(start, tree, tmp_path):
    line = '    log.info("tracing and converting the graph")\n'
    replace(tree / "service/models/export.py", line, f"{line}    time.sleep(600)\n")
    service = start(cwd=tree, ini=tree / "uwsgi.ini", cache_dir=tmp_path / "empty")
    service.wait_for(lambda: "loading the reference" in service.log)
    [compiler] = [pid for pid in service.pids() if b"export" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    ended = os.pidfd_open(compiler)
    service.popen.terminate()

    service.exit_code()
    assert select.select([ended], [], [], 60)[0]
    os.close(ended)


def test_a_rolling_reload_loses_nothing(start, reference):
    """It replaces every worker."""
    service = start(workers=2).wait_until_ready(2)
    expected = reference.encode(["a text"])[0]
    before = service.workers()
    wrong = []

    def ask():
        while service.workers() & before or len(service.workers()) < 2:
            answer = service.post("a text")
            if answer.status_code != 200 or np.dot(answer.json()["data"][0]["embedding"], expected) < 0.9998:
                wrong.append(answer.text)

    service.command("c")
    with ThreadPoolExecutor(8) as pool:
        for asking in [pool.submit(ask) for _ in range(8)]:
            asking.result(300)

    assert wrong == []
    assert len(service.workers()) == 2


@pytest.mark.parametrize(("backend", "reloads"), [("openvino", 50), ("torch", 3)])
def test_workers_stopped_inside_the_model_do_not_crash(start, backend, reloads):
    service = start(backend=backend).wait_until_ready()
    stopped, failed = threading.Event(), []

    def ask():
        while not stopped.is_set():
            answer = service.post(["a text that keeps the model busy " * 20] * 8)
            if answer.status_code != 200:
                failed.append(answer.text)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for _ in range(reloads):
            before = service.workers()
            service.command("c")
            service.wait_for(lambda before=before: service.workers() and not service.workers() & before)
        stopped.set()
    assert [each.exception() for each in asking] == [None] * 4
    assert failed == []
    assert not re.search("terminate called|Segmentation|Aborted|DAMN|died|killed by signal", service.log)


@pytest.fixture
def fragile(tmp_path):
    """A copy of the model that a test may break, and the function that breaks it."""
    copy = tmp_path / "fragile"
    shutil.copytree(sources.find("all-MiniLM-L6-v2").directory, copy)
    return copy


def break_weights(model):
    (model / "model.safetensors").rename(model / "good")
    (model / "model.safetensors").write_bytes(b"garbage")


def mend_weights(model):
    (model / "good").replace(model / "model.safetensors")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": "/nowhere"}, "EMBED_MODEL=/nowhere: no such directory"),
        ({"model": "/tmp"}, "EMBED_MODEL=/tmp: /tmp is not a model"),
        ({"modle": "x"}, "EMBED_MODLE is not a setting; did you mean EMBED_MODEL?"),
        ({"workers": "two"}, "EMBED_WORKERS=two: expected `int`"),
        ({"device": "cuda:9"}, "EMBED_DEVICE=cuda:9: torch"),
        ({"run_dir": "/" + "a" * 97}, "use one of at most 96 bytes"),
        ({"model": "all-MiniLM-L6-v2\r"}, "EMBED_MODEL='all-MiniLM-L6-v2\\r' holds a control character"),
    ],
)
def test_a_failed_start_ends_the_instance_with_one_line(start, settings, complaint):
    service = start(**settings)

    assert service.exit_code() not in (0, None)
    assert complaint in service.log
    assert "Traceback" not in service.log


def test_damaged_weights_end_the_whole_instance(start, fragile):
    break_weights(fragile)
    service = start(model=fragile)

    assert service.exit_code() not in (0, None)
    assert "the service cannot start: " in service.log
    assert "fragile cannot be loaded: SafetensorError" in service.log
    assert "Traceback" not in service.log


def test_a_worker_that_cannot_come_back_leaves_the_others(start, fragile):
    """It heals when the cause is gone."""
    service = start(model=fragile, workers=2).wait_until_ready(2)
    break_weights(fragile)
    os.kill(min(service.workers()), signal.SIGKILL)
    service.wait_for(lambda: "cannot start:" in service.log)

    assert service.post("a text").status_code == 200
    mend_weights(fragile)
    service.wait_until_ready(2)


def test_the_service_starts_from_any_directory(start, tmp_path):
    assert start(cwd=tmp_path).wait_until_ready().post("a text").status_code == 200


@pytest.mark.parametrize("settings", [{"http": "7123"}, {"socket": "7123"}, {"http": "http://127.0.0.1:7122"}])
def test_an_address_is_refused_before_anything_is_bound(start, tmp_path, settings):
    service = start(cwd=tmp_path, **settings)

    assert service.exit_code() == 1
    assert "7122: expected" in service.log or "7123: expected" in service.log
    assert "bound to" not in service.log
    assert not (tmp_path / "7123").exists()


@pytest.mark.parametrize("name", ["it's", '$(touch "x") `y`; &', "a b", "日本"])
def test_the_run_directory_may_have_any_name(start, tmp_path, name):
    service = start(cwd=tmp_path, run_dir=tmp_path / name)
    service.run_dir = tmp_path / name

    service.wait_until_ready().command("c")
    assert not (tmp_path / "x").exists()


def test_the_default_run_directory_is_that_of_the_tree(start, tree, tmp_path):
    service = start(cwd=tmp_path, ini=tree / "uwsgi.ini", run_dir="")
    service.run_dir = tree / "run"

    service.wait_until_ready()
    assert not (tmp_path / "run").exists()


@pytest.fixture
def running(start, tmp_path):
    """A service on a Unix socket, and what a second one with the same settings changes."""
    service = start(socket=tmp_path / "socket").wait_until_ready()
    files = {
        path: path.stat().st_ino for path in (tmp_path / "socket", service.run_dir / "fifo", service.run_dir / "stats")
    }
    yield service
    assert {path: path.stat().st_ino for path in files} == files
    assert service.workers()


@pytest.mark.usefixtures("running")
def test_a_second_instance_refuses_to_share_the_run_directory(start, tmp_path):
    second = start(socket=tmp_path / "socket")

    assert second.exit_code() != 0
    assert "/run: another instance uses this directory; give each its own" in second.log


@pytest.mark.usefixtures("running")
def test_a_second_instance_refuses_a_socket_in_use(start, tmp_path):
    second = start(socket=tmp_path / "socket", run_dir=tmp_path / "other")

    assert second.exit_code() != 0
    assert "/socket: another process listens there" in second.log


@pytest.mark.usefixtures("running")
def test_a_second_instance_leaves_the_first_alone(start):
    """Even one with a wrong setting."""
    assert start(http="7123").exit_code() != 0


def test_what_a_killed_instance_left_blocks_nobody(start, tmp_path):
    first = start(socket=tmp_path / "socket").wait_until_ready()
    first.popen.kill()
    first.popen.wait()
    first.wait_until_gone()

    start(socket=tmp_path / "socket").wait_until_ready()


def test_a_full_reload_keeps_the_socket_and_the_run_directory(start, tmp_path):
    service = start(socket=tmp_path / "socket").wait_until_ready()
    before = service.workers()
    service.command("r")

    service.wait_for(lambda: "gracefully (RE)spawned uWSGI master" in service.log)
    service.wait_for(lambda: service.workers() and not service.workers() & before)
    Master(service.run_dir).reload(300)


def test_a_supervisor_that_is_gone_costs_no_worker(start, tmp_path, monkeypatch):
    monkeypatch.setenv("READY_SOCKET", str(tmp_path / "gone"))
    service = start().wait_until_ready()
    before = service.workers()
    os.kill(*before, signal.SIGKILL)

    service.wait_for(lambda: service.log.count("the service works, but systemd is not told") == 2)
    service.wait_for(lambda: service.workers() and not service.workers() & before)


def test_a_master_that_pauses_does_not_end_a_reload(start):
    service = start().wait_until_ready()
    with ThreadPoolExecutor() as pool:
        service.popen.send_signal(signal.SIGSTOP)
        reload = pool.submit(Master(service.run_dir).reload, 300)
        time.sleep(STATS_TIMEOUT_SECONDS * 1.5)
        assert not reload.done()
        service.popen.send_signal(signal.SIGCONT)

        reload.result(300)


def test_an_empty_variable_counts_as_unset(start):
    service = start(workers="", threads="", socket="").wait_until_ready()

    assert service.post("a text").status_code == 200
