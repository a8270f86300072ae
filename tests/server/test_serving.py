"""A running service, looked at from outside."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openai
import pytest
import requests

pytestmark = [pytest.mark.server, pytest.mark.model]

#: The least cosine to sentence-transformers in float32: what bfloat16, the default where the CPU has it, must reach.
ACCURACY = 0.9998


def maps(*pids):
    return "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_each_worker_loads_a_model_and_the_master_none(service):
    master, workers = service.stats()["pid"], service.workers()

    assert len(workers) == 2
    assert {parent(pid) for pid in workers} == {master}
    assert all("libopenvino" in maps(pid) for pid in workers)
    assert "libopenvino" not in maps(master)


def test_a_worker_on_a_cpu_imports_no_torch_and_no_telemetry(start):
    service = start(options=["--module", "tests.server.spy:app"]).wait_until_ready()
    assert service.post(["a text"] * 3).status_code == 200
    modules = requests.get(service.url + "/modules", timeout=60).json()
    loaded = {name.partition(".")[0] for name, there in modules.items() if there}

    assert {"openvino", "tokenizers", "flask"} <= loaded
    assert not {"torch", "transformers", "sentence_transformers", "openvino_telemetry"} & loaded
    assert "libtorch" not in maps(*service.workers())


def test_64_clients_at_once_get_their_own_right_vectors(service, reference):
    texts = [f"text number {i} " + "and so on " * (i % 20) for i in range(256)]
    shares = [texts[i::64] for i in range(64)]
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda share: service.post(share).json(), shares))

    for share, answer in zip(shares, answers, strict=True):
        vectors = np.array([item["embedding"] for item in answer["data"]], np.float32)
        assert np.sum(vectors * reference.encode(share), axis=1).min() >= ACCURACY


def test_the_official_client_round_trips(service, reference):
    client = openai.OpenAI(base_url=service.url + "/v1", api_key="none", max_retries=0)
    texts = ["Hello world", "你好,世界", ""]
    expected = reference.encode(texts)

    for encoding in ("float", openai.omit):  # omitted, the client asks for base64 and decodes it
        answer = client.embeddings.create(model="any", input=texts, encoding_format=encoding, user="u")
        assert np.abs(np.array([item.embedding for item in answer.data]) - expected).max() < 0.01
    short = client.embeddings.create(model="any", input="Hello world", dimensions=64).data[0].embedding
    assert np.linalg.norm(short) == pytest.approx(1, abs=1e-5)
    assert np.dot(short, expected[0, :64] / np.linalg.norm(expected[0, :64])) == pytest.approx(1, abs=1 - ACCURACY)
    assert [model.id for model in client.models.list()] == ["all-MiniLM-L6-v2"]


def test_the_official_client_is_told_what_is_wrong(service):
    client = openai.OpenAI(base_url=service.url + "/v1", api_key="none", max_retries=0)

    with pytest.raises(openai.BadRequestError, match="input is an empty list") as refusal:
        client.embeddings.create(model="any", input=[])

    assert refusal.value.param == "input"


def test_a_chunked_body_is_read(service):
    pieces = iter([b'{"input": ', b'["one", ', b'"two"]}'])
    answer = requests.post(service.url + "/embed", data=pieces, timeout=60)

    assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize("megabytes", [1, 40])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("request_line", "status"), [(b"POST /nowhere", 404), (b"PUT /embed", 405), (b"GET /livez", 200)]
)
def test_an_early_answer_arrives(service, request_line, status, chunked, megabytes):
    """A client that sends its whole body before it reads the answer sees the answer, not a reset."""
    answer, body = send(service, request_line, b"x" * (megabytes * 2**20), chunked)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_with_the_limit(service, chunked):
    answer, body = send(service, b"POST /embed", b"x" * (40 * 2**20), chunked)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "larger than 33554432 bytes" in json.loads(body)["message"]


def test_a_chunked_body_that_uwsgi_cannot_read_is_refused(service):
    """The message has the fix."""
    answer, body = send(service, b"POST /v1/embeddings", b"x" * 2**20, chunked=True, extension=b";name=value")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "chunk extensions" in json.loads(body)["message"]


def send(service, request_line, body, chunked, extension=b""):
    """Send a request to its last byte, then read; return the head and the body of the answer."""
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    if chunked:
        pieces = [body[start : start + 2**16] for start in range(0, len(body), 2**16)]
        body = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in [*pieces, b""])
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(b"%b HTTP/1.1\r\n%b\r\n\r\n" % (request_line, length))
        connection.sendall(body)
        head, _, content = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    return head, content


def test_a_request_with_many_headers_is_answered(service):
    answer = requests.get(service.url + "/livez", headers={f"X-Header-{i}": "value" for i in range(800)}, timeout=60)

    assert answer.status_code == 200


TOO_MANY = b"".join(b"a%d: b\r\n" % number for number in range(2000))
TOO_LONG = b"a: " + b"b" * 70_000 + b"\r\n"


@pytest.mark.parametrize("headers", [TOO_MANY, TOO_LONG], ids=["number", "bytes"])
def test_headers_beyond_the_limits_cost_only_their_connection(service, headers):
    address, reset = ("127.0.0.1", service.port), contextlib.suppress(ConnectionError)
    with reset, socket.create_connection(address, timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n" + headers + b"\r\n")
        assert connection.recv(65536) == b""

    assert requests.get(service.url + "/livez", timeout=60).status_code == 200


def test_a_client_that_hangs_up_is_no_error_in_the_log(service):
    body = json.dumps({"input": [f"{i} a long text " * 100 for i in range(500)]}).encode()

    def is_told():
        """Hang up; again if this process was held up until the answer was there."""
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(b"POST /embed HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        time.sleep(2)
        return "status=499" in service.log

    service.wait_for(is_told)

    assert "Traceback" not in service.log
