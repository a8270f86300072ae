"""The monitor's sockets: they answer whoever asks well, and whoever does not keeps nobody out."""

import http.client
import os
import socket
import time
from contextlib import suppress

import pytest
import requests

from launchers.process import free_port
from service.hosting import monitor, process


@pytest.fixture
def listen(monkeypatch):
    """Start a server that answers each path with itself: ``listen("127.0.0.1:5001")``, ``listen(path)``."""
    monkeypatch.setattr(monitor.Handler, "timeout", 120)
    servers = []

    def listen(where):
        start = monitor.listen_on_address if isinstance(where, str) else monitor.listen_on_path
        servers.append(start(where, lambda path: (200, "text/plain", path.encode())))

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def port(listen):
    port = free_port()
    listen(f"127.0.0.1:{port}")
    return port


def test_a_path_is_asked_without_its_query_and_last_slash(port):
    answer = requests.get(f"http://127.0.0.1:{port}/livez/?verbose", timeout=60)

    assert (answer.text, answer.headers["Content-Type"]) == ("/livez", "text/plain")
    assert requests.head(f"http://127.0.0.1:{port}/livez", timeout=60).headers["Content-Length"] == "6"


def test_a_unix_socket_answers_and_replaces_the_one_of_a_dead_process(listen, tmp_path):
    path = tmp_path / "monitor"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listen(path)
    connection = http.client.HTTPConnection("monitor")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/readyz")

    assert connection.getresponse().read() == b"/readyz"
    connection.close()


@pytest.mark.parametrize("address", ["[::1]:{}", ":{}", "*:{}", "localhost:{}"])
def test_every_form_of_an_address_is_bound(listen, address):
    port = free_port()
    listen(address.format(port))
    host = "[::1]" if "::1" in address else "127.0.0.1"

    assert requests.get(f"http://{host}:{port}/livez", timeout=60).text == "/livez"


def test_clients_that_say_nothing_keep_nobody_out(port):
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * monitor.MAX_CLIENTS)]

    assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=60).text == "/livez"
    for client in silent:
        client.close()


def test_a_client_that_stalls_is_cut_off(port, monkeypatch):
    monkeypatch.setattr(monitor.Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client, suppress(ConnectionError):
        client.sendall(b"GET /livez HTTP/1.1\r\n")

        assert client.recv(100) == b""


def test_a_process_that_has_ended_runs_no_more():
    """Though nobody has waited for it."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    assert [process.runs(pid) for pid in (os.getpid(), child, 0)] == [True, False, False]
    os.waitpid(child, 0)


@pytest.mark.parametrize("sent", [b"POST /livez HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"])
def test_what_is_no_get_is_refused(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(sent)

        assert b"200 OK" not in client.recv(1000)
    assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=60).text == "/livez"


def test_a_port_in_use_is_told_once_and_taken_when_it_is_free(listen, monkeypatch, caplog):
    monkeypatch.setattr(monitor, "BIND_SECONDS", 0.01)
    caplog.set_level("INFO")
    port = free_port()
    monkeypatch.setenv("EMBED_MONITOR", f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)):
        monitor.retry(lambda: listen(f"127.0.0.1:{port}"))
        time.sleep(0.1)
    assert caplog.text.count(f"EMBED_MONITOR=127.0.0.1:{port}: Address already in use") == 1
    deadline = time.monotonic() + 60
    while "it answers now" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=60).text == "/livez"
