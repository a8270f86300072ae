"""Probes and metrics of a real instance: whatever its workers do, and until it ends."""

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from launchers.process import free_port
from tests.deploy.stage import copy_tree, held_text, hold_texts

pytestmark = [pytest.mark.server, pytest.mark.model]

#: The beginning of a wsgi.py that loads until a file is there.
WAIT = """import pathlib, time
while not pathlib.Path("{directory}/go").exists():
    time.sleep(0.05)
"""

ANSWERED = 'embeddings_requests_total{model="all-MiniLM-L6-v2",route="/v1/embeddings",status="200"}'


def word(service):
    """What /readyz says, in a word; "" if nobody answers."""
    status, body = service.ask_monitor("/readyz")
    answer = json.loads(body or '{"status": ""}')
    assert (status == 200) == (answer["status"] == "ready")
    return answer["status"]


def test_the_monitor_answers_while_every_thread_is_taken(start):
    port = free_port()
    service = start(threads=2, monitor=f"127.0.0.1:{port}").wait_until_ready()
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(2)]
    for client in clients:
        client.sendall(b"POST /embed HTTP/1.1\r\nContent-Length: 100\r\n\r\n")  # and nothing more
    service.wait_for(lambda: service.metric("embeddings_requests_in_flight") == 2)

    for path in ("/livez", "/readyz", "/health", "/metrics", "/web/state"):
        url = f"http://127.0.0.1:{port}{path}"
        service.wait_for(lambda url=url: requests.get(url, timeout=60).status_code == 200)
    assert service.metric("embeddings_requests_in_flight") == 2
    for client in clients:
        client.close()


def test_the_monitor_answers_while_the_instance_starts_and_stops(start, tmp_path):
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    hold_texts(tree, tmp_path)
    (tree / "wsgi.py").write_text(WAIT.format(directory=tmp_path) + (tree / "wsgi.py").read_text())
    service = start(cwd=tree, ini=tree / "uwsgi.ini", batch_timeout=600)
    service.wait_for(lambda: word(service) == "loading")
    (tmp_path / "go").touch()
    service.wait_for(lambda: word(service) == "ready")
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(service.post, held_text(150)) for _ in range(2)]
        service.wait_for(lambda: service.metric("embeddings_requests_in_flight") == 2)
        service.popen.terminate()
        service.wait_for(lambda: word(service) == "stopping")
        assert service.ask_monitor("/livez")[0] == 200
        (tmp_path / "150").touch()
    assert [answer.result().status_code for answer in answers] == [200, 200]

    assert service.exit_code() == 0
    assert service.pids() == []
    assert not (service.run_dir / "monitor").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_ends_the_monitor_after_the_workers(start, number):
    service = start().wait_until_ready()
    os.killpg(service.popen.pid, number)

    assert service.exit_code() == 0
    assert service.pids() == []


def test_the_monitor_ends_with_a_killed_master(start):
    service = start().wait_until_ready()
    service.popen.kill()
    service.popen.wait()
    service.wait_until_gone()

    assert word(service) == ""


def test_counters_are_exact_over_killed_and_reloaded_workers(start):
    service = start(workers=2).wait_until_ready(2)
    for times in range(1, 4):
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status_code for answer in pool.map(service.post, ["a text"] * 100)} == {200}
        assert service.metric(ANSWERED) == 100 * times
        before = service.workers()
        os.kill(min(before), signal.SIGKILL)
        service.wait_for(lambda before=before: service.workers() - before)
    assert service.metric(ANSWERED) == 300
    before = service.workers()
    service.command("c")
    service.wait_for(lambda: len(service.workers() - before) == 2)

    assert service.metric(ANSWERED) == 300
    assert len(list((service.run_dir / "metrics").iterdir())) == 2 * 3


def test_a_full_reload_keeps_the_counters_and_a_new_start_does_not(start):
    service = start().wait_until_ready()
    before = service.workers()
    assert service.post("a text").status_code == 200
    service.command("r")
    service.wait_for(lambda: service.workers() - before)
    service.wait_for(lambda: word(service) == "ready")
    assert service.metric(ANSWERED) == 1
    service.popen.terminate()
    service.exit_code()

    again = start()
    again.wait_for(lambda: word(again) == "ready")
    assert again.metric(ANSWERED) == 0


def test_a_port_in_use_is_an_error_line_and_the_service_serves(start):
    port = free_port()
    address = f"127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)):
        service = start(monitor=address).wait_until_ready()
        service.wait_for(lambda: f"EMBED_MONITOR={address}: Address already in use; it is tried again" in service.log)

        assert service.post("a text").status_code == 200
        service.wait_for(lambda: word(service) == "ready")
    service.wait_for(lambda: f"EMBED_MONITOR={address}: it answers now" in service.log)


def test_a_bad_address_of_the_monitor_is_refused_at_the_start(start):
    service = start(monitor="5001")

    assert service.exit_code() == 1
    assert "EMBED_MONITOR=5001: expected ADDRESS:PORT, such as 127.0.0.1:5001" in service.log


def test_a_worker_that_hangs_is_told_and_a_resumed_one_is_ready(start):
    service = start().wait_until_ready()
    (worker,) = service.workers()
    service.wait_for(lambda: word(service) == "ready")
    os.kill(worker, signal.SIGSTOP)
    service.wait_for(lambda: word(service) == "silent")
    os.kill(worker, signal.SIGCONT)

    service.wait_for(lambda: word(service) == "ready")
