"""deploy/nginx as Debian's nginx reads it: what passes, what it answers itself, and what it writes down."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import numpy as np
import pytest
import requests

from service.settings import Settings
from tests.deploy.stage import DEPLOY
from tests.intruder import attack
from tests.load import LEAST_COSINE, TEXTS
from tests.programs import program
from tests.server.processes import free_port

pytestmark = [pytest.mark.deploy, pytest.mark.server, pytest.mark.model]

ENVELOPE = {"message", "type", "param", "code"}


def ask(port, path="/v1/embeddings", scheme="http", **options):
    options = {"json": {"input": TEXTS[0]}, "timeout": 300} | options
    return requests.post(f"{scheme}://127.0.0.1:{port}{path}", **options)


def is_enveloped(answer):
    body = answer.json()
    return answer.headers["Content-Type"] == "application/json" and set(body["error"]) == ENVELOPE and body["message"]


def ask_until_there_is_room(port):
    """A client has its answer a moment before the answer's room is free."""
    deadline = time.monotonic() + 120
    while (answer := ask(port)).status_code == 429 and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def is_right(answer, expected):
    return np.dot(answer.json()["data"][0]["embedding"], expected[0]) >= LEAST_COSINE


def test_a_chunked_body_arrives_and_the_request_id_comes_back(serve, nginx, port, expected):
    serve()
    nginx()
    body = json.dumps({"input": TEXTS[0]}).encode()
    answer = ask(port, json=None, data=iter([body[:5], body[5:]]), headers={"X-Request-Id": "mine-1"})

    assert is_right(answer, expected)
    assert answer.headers["X-Request-Id"] == "mine-1"
    assert re.fullmatch("[0-9a-f]{32}", ask(port, headers={"X-Request-Id": 'no "good"'}).headers["X-Request-Id"])


def test_a_body_that_is_too_large_is_refused_in_the_envelope(serve, nginx, port):
    serve()
    nginx()
    answer = ask(port, json=None, data=b"x" * (Settings().max_body_bytes + 1))

    assert answer.status_code == 413
    assert is_enveloped(answer)
    assert "32 MiB" in answer.json()["message"]


def test_a_file_for_a_batch_may_be_larger_than_a_body(serve, nginx, port, tmp_path):
    serve(batches=tmp_path / "kept")
    nginx()
    form = {"data": {"purpose": "batch"}, "files": {"file": b"x" * (Settings().max_body_bytes + 1)}}

    assert ask(port, "/v1/files", json=None, **form).json()["bytes"] == Settings().max_body_bytes + 1
    assert ask(port, "/v1/batches", json=None, data=b"x" * (Settings().max_body_bytes + 1)).status_code == 413


def test_what_comes_too_fast_is_told_when_to_come_again(serve, nginx, port):
    serve()
    nginx(replaced={"rate=1000r/s": "rate=1r/m", "burst=1000": "burst=2"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(port), range(20)))
    refused = [answer for answer in answers if answer.status_code == 429]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert len(refused) >= 15  # one is taken, two more as a burst, and one a minute
    assert all(is_enveloped(answer) and answer.headers["Retry-After"] == "1" for answer in refused)
    assert {answer.json()["error"]["type"] for answer in refused} == {"rate_limit_error"}
    assert all(answer.headers["X-Request-Id"] for answer in answers)


def test_a_service_that_does_not_run_is_a_502_that_says_so(nginx, port):
    nginx()
    answer = ask(port)

    assert answer.status_code == 502
    assert is_enveloped(answer)
    assert answer.headers["Retry-After"] == "5"


def test_a_full_backlog_refuses_at_once_and_answers_the_rest(serve, nginx, port, expected, held):
    held.listen(4)
    service = serve(threads=2)
    nginx()
    os.killpg(service.popen.pid, signal.SIGSTOP)  # or it is faster than the clients come
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(ask, port) for _ in range(30)]
        wait(asked, 300, FIRST_COMPLETED)
        os.killpg(service.popen.pid, signal.SIGCONT)
        answers = [each.result() for each in asked]
    afterwards = ask_until_there_is_room(port)
    refused = [answer for answer in answers if answer.status_code != 200]

    assert 0 < len(refused) < len(answers)
    assert {answer.status_code for answer in refused} <= {429, 502}
    assert all(map(is_enveloped, refused))
    assert all(is_right(answer, expected) for answer in answers if answer.status_code == 200)
    assert is_right(afterwards, expected)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics", "/metrics/", "/web/state"])
def test_the_operations_routes_answer_this_machine_alone(serve, nginx, port, path):
    serve()
    nginx(replaced={f"listen 127.0.0.1:{port}": f"listen 0.0.0.0:{port}"})
    inside = requests.get(f"http://127.0.0.1:{port}{path}", timeout=300)
    other = requests.Session()
    other.mount("http://", SourceAddress("127.0.0.2"))
    outside = other.get(f"http://127.0.0.1:{port}{path}", timeout=300)

    assert inside.status_code == 200
    assert outside.status_code == 403
    assert is_enveloped(outside)


def test_the_monitor_answers_probes_and_a_worker_where_there_is_none(serve, nginx, port):
    """Both are ready; the monitor gives a reason, a worker the model."""
    service = serve()
    server = nginx(replaced={"proxy_read_timeout 10s": "proxy_read_timeout 300s"})
    by_monitor = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60)
    (service.run_dir / "monitor").unlink()
    by_worker = requests.get(f"http://127.0.0.1:{port}/readyz/", timeout=60)

    assert (by_monitor.status_code, set(by_monitor.json())) == (200, {"status", "reason"})
    assert (by_worker.status_code, set(by_worker.json())) == (200, {"status", "model"})
    assert all("X-Request-Id" in answer.headers for answer in (by_monitor, by_worker))
    assert "monitor" not in server.errors


def test_an_operator_whose_address_is_allowed_sees_the_workers(serve, nginx, port):
    """Also while clients hold every request that nginx takes."""
    serve()
    proxy = nginx(
        replaced={
            f"listen 127.0.0.1:{port}": f"listen 0.0.0.0:{port}",
            "    deny  all;": "    allow 127.0.0.2;\n    deny  all;",
            "limit_conn embeddings_requests 256;": "limit_conn embeddings_requests 1;",
            "client_body_timeout     30s;": "client_body_timeout     300s;",
        }
    )
    operator = requests.Session()
    operator.mount("http://", SourceAddress("127.0.0.2"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")  # its body never comes
        proxy.wait_for(lambda: ask(port).status_code == 429)
        state = operator.get(f"http://127.0.0.1:{port}/web/state", timeout=60)

    assert state.status_code == 200
    assert [worker["number"] for worker in state.json()["workers"]] == [1]


def test_the_service_takes_the_headers_that_nginx_takes(serve, nginx, port):
    """For the service each is five bytes longer."""
    serve()
    nginx()

    assert ask(port, headers={f"X-Header-{number:03}": "a" * 92 for number in range(295)}).status_code == 200


def test_a_site_does_not_speak_the_uwsgi_protocol(serve, nginx, port, tmp_path):
    serve()
    nginx()
    answers, ran = attack(("127.0.0.1", port), tmp_path)

    assert not ran
    assert not any(b" 200 " in answer for answer in answers)


def test_an_error_of_the_service_passes_as_it_is(serve, nginx, port):
    serve()
    nginx()

    assert ask(port, json={"input": []}).json()["error"]["param"] == "input"
    assert "/v1/embeddings" in ask(port, "/nowhere").json()["message"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 10_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_answered_in_the_envelope_too(nginx, port, request_bytes, status):
    nginx()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request_bytes)
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")

    assert head.split()[1] == b"%d" % status
    assert set(json.loads(body)["error"]) == ENVELOPE


def test_the_access_log_is_json_whatever_the_client_calls_itself(serve, nginx, port):
    serve()
    proxy = nginx()
    ask(port, "/v1/embeddings?api_key=secret?", headers={"User-Agent": 'ev"il\\\tname'})
    log = proxy.logs / "embeddings.log"
    proxy.wait_for(log.read_text)
    (line,) = log.read_text().splitlines()
    entry = json.loads(line)

    assert entry["user_agent"] == 'ev"il\\\tname'
    assert (entry["status"], entry["method"], entry["uri"]) == (200, "POST", "/v1/embeddings")
    assert re.fullmatch("[0-9a-f]{32}", entry["request_id"])
    assert entry["bytes_in"] > 0
    assert entry["seconds"] >= 0


def test_the_tls_site_answers_over_tls_and_refuses_plain_http(serve, nginx, port, expected, tmp_path):
    key, certificate, plain = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [program("openssl"), *options.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    serve()
    live = "/etc/letsencrypt/live/embeddings.example.org"
    nginx(
        "embeddings-tls",
        {
            f"{live}/fullchain.pem": str(certificate),
            f"{live}/privkey.pem": str(key),
            "listen 443": f"listen 127.0.0.1:{port}",
            "    listen [::]:443 ssl http2 deferred backlog=4096;\n": "",
            "    listen [::]:80;\n": "",
            "listen 80;": f"listen 127.0.0.1:{plain};",
        },
    )

    assert is_right(ask(port, scheme="https", verify=certificate), expected)
    assert not attack(("127.0.0.1", port), tmp_path).ran
    assert ask(plain).status_code == 400
    assert is_enveloped(ask(plain))


def test_the_timeouts_are_in_order():
    """The service gives up first and says why, then nginx, then systemd."""
    unit = (DEPLOY / "systemd/embeddings.service").read_text()
    (deadline,) = re.findall(r"EMBED_REQUEST_TIMEOUT=(\d+)", unit)
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE)
    sent, proxy = timeouts("uwsgi")
    front_sent, front = timeouts("http")

    assert (sent, front_sent) == (proxy, front)
    assert int(deadline) < proxy < int(stop)
    assert proxy < front  # of a machine that runs, its own nginx answers first


def timeouts(how):
    directives = re.findall(r"_(?:send|read)_timeout +(\d+)s;", (DEPLOY / f"nginx/pass/{how}.conf").read_text())
    return [int(seconds) for seconds in directives]


def test_nginx_takes_the_bodies_that_the_service_takes():
    site = (DEPLOY / "nginx/snippets/embeddings.conf").read_text()
    (mebibytes,) = re.findall(r"^client_max_body_size +(\d+)m;", site, re.MULTILINE)

    assert int(mebibytes) * 2**20 == Settings().max_body_bytes


def test_requests_hold_at_most_two_thirds_of_nginxs_connections(nginx):
    """With Debian's own nginx.conf, and at most 1024 files open."""
    site = (DEPLOY / "nginx/snippets/embeddings.conf").read_text()
    (limit,) = re.findall(r"limit_conn embeddings_requests (\d+);", site)
    (connections,) = re.findall(r"worker_connections (\d+);", (nginx().etc / "nginx.conf").read_text())

    assert int(limit) * 3 <= int(connections)
    assert int(limit) * 4 <= 1024


def test_the_environment_file_has_every_setting_with_its_default():
    unit = (DEPLOY / "systemd/embeddings.service").read_text()
    lines = dict(re.findall(r"^#?(EMBED_\w+)=(.*)$", (DEPLOY / "systemd/embeddings.env").read_text(), re.MULTILINE))
    theirs = {"EMBED_CACHE_DIR", "EMBED_RUN_DIR", "EMBED_HTTP", "EMBED_SOCKET", "EMBED_REQUEST_TIMEOUT"}

    assert set(lines) == set(Settings.variables())
    assert f"Environment=EMBED_REQUEST_TIMEOUT={lines['EMBED_REQUEST_TIMEOUT']}\n" in unit
    for name, default in Settings.variables().items():
        if name not in theirs:
            assert Settings.from_env({name: lines[name]}) == Settings(), f"{name} is {default} by default"


class SourceAddress(requests.adapters.HTTPAdapter):
    """Connect from this address."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, source_address=(self.address, 0), **options)
