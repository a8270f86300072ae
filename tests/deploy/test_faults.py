"""nginx, a held socket and uWSGI under load: what breaks on the server side costs no client an answer."""

import json
import os
import shutil
import signal
import socket
import time

import pytest

from service.errors import CommandFailed
from service.hosting.master import Master
from tests.deploy.stage import change_inference, copy_tree

pytestmark = [pytest.mark.deploy, pytest.mark.server, pytest.mark.model]

#: A model that hangs once, when a file tells it to, and on several texts: one that hangs alone is refused afterwards.
HANG = """
        import pathlib, time
        if len(batch) > 1 and pathlib.Path("{directory}/hang").exists():
            pathlib.Path("{directory}/hang").unlink()
            time.sleep(999)
"""


def test_twenty_rolling_reloads_lose_nothing(serve, nginx, load):
    service = serve()
    nginx()
    with load() as answers:
        for _ in range(20):
            answers.wait_for(20)
            Master(service.run_dir).reload(300)
        answers.wait_for(20)

    assert not answers.wrong
    assert service.stats()["workers"][0]["respawn_count"] == 21


def test_a_restart_behind_the_held_socket_loses_nothing(serve, nginx, load):
    service = serve()
    nginx()
    with load() as answers:
        for _ in range(5):
            answers.wait_for(20)
            service.popen.terminate()
            assert service.exit_code() == 0
            service = serve()
        answers.wait_for(20)

    assert not answers.wrong


def test_a_reload_of_nginx_loses_nothing(serve, nginx, load):
    serve()
    proxy = nginx()
    with load() as answers:
        for _ in range(20):
            answers.wait_for(20)
            proxy.popen.send_signal(signal.SIGHUP)
        answers.wait_for(20)

    assert not answers.wrong


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_release_stops_the_reload(serve, nginx, load, tmp_path, workers):
    """The next good one heals it."""
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    service = serve(root=tree, workers=workers)
    nginx()
    with load() as answers:
        answers.wait_for(20)
        (tree / "service/app.py").write_text("this is no Python")
        with pytest.raises(CommandFailed, match="worker 1 does not start"):
            Master(service.run_dir).reload(300)
        if workers > 1:
            answers.wait_for(20)
        shutil.copy("service/app.py", tree / "service/app.py")
        service.wait_until_ready(workers)
        answers.wait_for(20)

    assert not answers.wrong
    assert "SyntaxError" in service.log


def test_ten_workers_killed_lose_nothing(serve, nginx, load):
    service = serve()
    nginx()
    with load() as answers:
        for _ in range(10):
            answers.wait_for(20)
            (worker,) = service.workers()
            os.kill(worker, signal.SIGKILL)
            service.wait_for(lambda worker=worker: service.workers() - {worker})
        answers.wait_for(20)

    assert not answers.wrong


def test_a_killed_master_loses_nothing_once_it_is_started_again(serve, nginx, load):
    service = serve()
    nginx()
    with load() as answers:
        answers.wait_for(20)
        service.popen.kill()
        service.popen.wait()
        serve()
        answers.wait_for(20)

    assert not answers.wrong


def test_requests_wait_while_the_model_loads(serve, nginx, load):
    """Also if the load is stopped and begun again."""
    service = serve()
    nginx()
    with load() as answers:
        answers.wait_for(20)
        service.popen.terminate()
        service.exit_code()
        loading = serve(wait=False)
        loading.wait_for(lambda: "spawned uWSGI worker 1" in loading.log.rpartition("*** Starting")[2])
        loading.popen.terminate()
        loading.exit_code()
        serve()
        answers.wait_for(20)

    assert not answers.wrong


def test_a_worker_whose_model_hangs_is_replaced(serve, nginx, load, tmp_path):
    """Its requests are answered."""
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    change_inference(tree, HANG.format(directory=tmp_path))
    service = serve(root=tree, batch_timeout=10)
    nginx()
    with load() as answers:
        answers.wait_for(20)
        (tmp_path / "hang").touch()
        service.wait_for(lambda: "a batch has been running for more than 10 seconds" in service.log)
        answers.wait_for(20)

    assert not answers.wrong
    assert 'openvino.py", line' in service.log


def test_clients_that_leave_cost_the_others_nothing(serve, nginx, load, port):
    service = serve()
    nginx()
    with load() as answers:
        for client in range(40):
            body = json.dumps({"input": [f"{client} {text} a long text " * 20 for text in range(64)]}).encode()
            with socket.create_connection(("127.0.0.1", port)) as leaving:
                leaving.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(0.02)
        answers.wait_for(50)
    service.wait_for(lambda: not any(core["in_request"] for core in service.stats()["workers"][0]["cores"]))

    assert not answers.wrong
    assert service.metric('embeddings_refusals_total{reason="client_gone"}') > 0  # else all of theirs was computed
    assert "Traceback" not in service.log


def test_slow_uploads_occupy_no_thread(serve, nginx, load, port):
    service = serve(threads=16)
    nginx()
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    for each in slow:
        each.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")
    with load() as answers:
        answers.wait_for(50)
        for each in slow:
            each.sendall(b" ")
        answers.wait_for(50)
    for each in slow:
        each.close()

    assert not answers.wrong
    assert not service.stats()["workers"][0]["exceptions"]


def test_nginx_answers_for_a_frozen_service(serve, nginx, port):
    """After one try: the first copy of the request still waits."""
    import requests

    service = serve()
    log = nginx(replaced={"uwsgi_read_timeout    65s": "uwsgi_read_timeout    1s"}).logs / "embeddings.log"
    os.killpg(service.popen.pid, signal.SIGSTOP)
    answer = requests.post(f"http://127.0.0.1:{port}/v1/embeddings", json={"input": "a"}, timeout=300)
    os.killpg(service.popen.pid, signal.SIGCONT)
    service.wait_for(log.read_text)

    assert answer.status_code == 504
    assert answer.json()["message"].startswith("no worker answered in time")
    assert json.loads(log.read_text())["upstream_status"] == "504"
