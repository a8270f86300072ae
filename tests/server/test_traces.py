"""Traces of the real service, as a collector gets them."""

import http.server
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.deploy.stage import copy_tree

pytestmark = [pytest.mark.server, pytest.mark.model]

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(http.server.ThreadingHTTPServer):
    """Keeps the spans that it is sent over OTLP."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans, self.raw, self.seconds = [], b"", 0.0

    def named(self, name):
        return [span for span in self.spans if span.name == name]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/v1/traces"
        time.sleep(self.server.seconds)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.server.raw += body
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


@pytest.fixture
def start_traced(start, collector, tmp_path):
    """Start a service whose sender waits for a collector that is held up, as this process may be."""
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    for name, line in (("spans", "FLUSH_SECONDS = 5.0"), ("traces", "WAIT_SECONDS = 10.0")):
        path = tree / f"service/hosting/{name}.py"
        assert line in path.read_text()
        path.write_text(path.read_text().replace(line, f"{line.partition(' ')[0]} = 120.0"))
    return partial(start, cwd=tree, ini=tree / "uwsgi.ini", otel_endpoint=collector.url)


def post(service, text="a secret text", **headers):
    headers = {"Authorization": "Bearer a-secret-key"} | headers
    return requests.post(service.url + "/embed", json={"input": text}, headers=headers, timeout=60)


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_is_a_span_of_its_callers_trace_with_its_steps(start_traced, collector):
    service = start_traced().wait_until_ready()
    assert post(service, traceparent=f"00-{TRACE}-{CALLER}-01").status_code == 200
    service.wait_for(lambda: collector.spans)
    whole, *steps = collector.spans

    assert (whole.name, whole.trace_id.hex(), whole.parent_span_id.hex()) == ("POST /embed", TRACE, CALLER)
    assert attributes(whole)["http.response.status_code"] == 200
    assert attributes(whole)["embeddings.tokens"] == 5
    assert [step.name for step in steps] == ["read", "tokenize", "queue", "forward", "serialize", "send"]
    assert {(step.trace_id.hex(), step.parent_span_id) for step in steps} == {(TRACE, whole.span_id)}
    edges = [whole.start_time_unix_nano, *(step.end_time_unix_nano for step in steps)]
    assert [step.start_time_unix_nano for step in steps] == edges[:-1]
    assert edges == sorted(edges)
    assert edges[-1] == whole.end_time_unix_nano
    assert b"secret" not in collector.raw


def test_a_caller_that_records_nothing_is_respected(start_traced, collector):
    service = start_traced().wait_until_ready()
    post(service, traceparent=f"00-{TRACE}-{CALLER}-00")
    assert requests.get(service.url + "/nowhere", timeout=60).status_code == 404
    service.wait_for(lambda: collector.spans)

    assert [span.name for span in collector.spans] == ["GET", "answer", "send"]
    assert collector.spans[0].trace_id.hex() != TRACE


def test_no_span_is_lost_when_the_service_stops(start_traced, collector):
    """A supervisor may kill what is left once the master has ended."""
    collector.seconds = 1.0
    service = start_traced(workers=2).wait_until_ready(2)
    for _ in range(20):
        assert post(service).status_code == 200
    service.popen.terminate()

    assert service.exit_code() == 0
    assert len(collector.named("POST /embed")) == 20


def test_no_span_is_lost_in_a_reload(start_traced, collector):
    service = start_traced().wait_until_ready()
    for _ in range(20):
        assert post(service).status_code == 200
    service.command("c")

    service.wait_for(lambda: len(collector.named("POST /embed")) == 20)


def test_a_collector_that_is_away_delays_nobody(start):
    service = start(otel_endpoint="http://127.0.0.1:9").wait_until_ready()
    assert {post(service).status_code for _ in range(200)} == {200}
    service.popen.terminate()

    assert service.exit_code() == 0


def test_a_missing_package_stops_the_service_with_a_sentence(start, tmp_path):
    (tmp_path / "opentelemetry.py").write_text("raise ImportError")
    service = start(options=["--pythonpath", tmp_path], otel_endpoint="http://127.0.0.1:4318")

    assert service.exit_code() != 0
    assert 'EMBED_OTEL_ENDPOINT needs the packages of the extra "otel"' in service.log


def test_the_end_of_the_sender_ends_no_worker(start_traced):
    service = start_traced().wait_until_ready()
    workers = service.workers()
    (sender,) = (pid for pid in service.pids() if b"service.hosting.spans" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(sender, signal.SIGKILL)

    service.wait_for(lambda: post(service).ok and "the process that sends traces ended" in service.log)
    assert service.workers() == workers
