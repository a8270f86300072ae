"""The ids of a request, where its time went, and its line in the log."""

import json
import logging
import re
import threading
from pathlib import Path

import pytest

from service import logs
from service.api import ledger
from service.api.exchange import Exchange
from service.app import create_app
from service.settings import Settings
from tests.fakes import FakeModel

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MADE = re.compile("[0-9a-f]{32}")

#: What must be in no line.
SECRETS = ["SECRET", "Bearer", "sk-"]


@pytest.fixture
def ask(caplog):
    """Ask an app of these settings; return the answer and the fields of its line, None without one."""
    apps = []

    def ask(method, path, settings=None, **options):
        caplog.clear()
        caplog.set_level(logging.INFO)
        if not apps:
            apps.append(
                create_app(Settings(max_body_bytes=20_000, **(settings or {"log_requests": "all"})), FakeModel())
            )
        answer = apps[0].test_client().open(path, method=method, buffered=True, **options)
        mine = threading.get_ident()  # a thread that an earlier test left may still refuse a request
        lines = [each for each in caplog.records if each.name == ledger.__name__ and each.thread == mine]
        assert len(lines) <= 1
        return answer, lines[0] if lines else None

    yield ask
    for app in apps:
        app.extensions["engines"]().close()


def test_a_line_says_what_was_asked_and_where_the_time_went(ask):
    answer, line = ask("POST", "/v1/embeddings", json={"input": ["abc", "d"]}, headers={"X-Request-ID": "mine"})

    milliseconds = {name for name in line.fields if name.endswith("ms")}
    assert milliseconds == {"ms", *(f"{s}_ms" for s in ("read", "tokenize", "queue", "forward", "serialize", "send"))}
    asked = {"request_id": "mine", "client": "127.0.0.1", "method": "POST", "route": "/v1/embeddings", "status": 200}
    size = {"texts": 2, "tokens": 4, "bytes_in": 23, "bytes_out": len(answer.data)}
    assert {name: line.fields[name] for name in set(line.fields) - milliseconds} == asked | size | {"model": "fake"}
    assert sum(line.fields[name] for name in milliseconds - {"ms"}) == pytest.approx(line.fields["ms"], abs=0.1)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embed", "/livez", "/nowhere", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_every_answer_has_the_requests_id(ask, method, path):
    answer, line = ask(method, path, headers={"X-Request-ID": "a.b-c_1", "traceparent": TRACEPARENT})

    assert answer.headers.getlist("X-Request-ID") == ["a.b-c_1"] == [line.fields["request_id"]]
    assert answer.headers["traceparent"] == TRACEPARENT
    assert line.fields["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("sent", [{}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 65}, {"X-Request-ID": "é\x1b"}])
def test_an_id_that_is_missing_or_unsafe_is_replaced(ask, sent):
    answer, line = ask("GET", "/livez", headers=sent)

    assert MADE.fullmatch(answer.headers["X-Request-ID"])
    assert line.fields["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "sent",
    [
        *("", "00-0", TRACEPARENT.upper(), f"{TRACEPARENT}-x", f"ff{TRACEPARENT[2:]}", f"{TRACEPARENT}\n"),
        *(f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"),
    ],
)
def test_an_invalid_traceparent_is_ignored(sent):
    known = Exchange({"HTTP_TRACEPARENT": sent})

    assert "traceparent" not in known.headers()
    assert "trace_id" not in known.fields


def test_the_manual_has_every_field(ask):
    manual = (Path(__file__).parent.parent.parent / "docs/operations.md").read_text()
    fields = set()
    for path in ("/embed", "/nowhere"):
        fields |= set(ask("POST", path, json={"input": "a"}, headers={"traceparent": TRACEPARENT})[1].fields)

    assert [name for name in fields if f"`{name}`" not in manual] == []


def test_server_timing_tells_the_client_where_the_time_went(ask):
    answer, _ = ask("POST", "/embed", json={"input": "abc"})

    steps = re.fullmatch(
        r"tokenize;dur=\d+\.\d\d, queue;dur=\d+\.\d\d, forward;dur=\d+\.\d\d, serialize;dur=\d+\.\d\d",
        answer.headers["Server-Timing"],
    )
    assert steps
    assert "Server-Timing" not in ask("POST", "/embed", json={"input": []})[0].headers


@pytest.mark.parametrize(
    ("asked", "body", "expected"),
    [
        ("POST /embed", b"{", ("INFO", "refused request", 400, "Malformed")),
        ("GET /nowhere", b"", ("INFO", "refused request", 404, "NotFound")),
        ("GET /v1/models/x", b"", ("INFO", "refused request", 404, "UnknownModel")),
        ("GET /embed", b"", ("INFO", "refused request", 405, "MethodNotAllowed")),
        ("POST /embed", b" " * 20_001, ("INFO", "refused request", 413, "RequestEntityTooLarge")),
        ("POST /embed", b'{"input": "poison"}', ("ERROR", "failed request", 500, "ModelFailed")),
    ],
)
def test_a_request_without_a_result_has_a_line(ask, asked, body, expected):
    """With the kind of its error, whatever EMBED_LOG_REQUESTS is."""
    _, line = ask(*asked.split(), {"log_requests": "errors"}, data=body)

    assert (line.levelname, line.msg, line.fields["status"], line.fields["error"]) == expected
    assert line.fields["bytes_in"] == len(body)
    assert line.exc_info is None


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        (b"{", {"answer_ms", "send_ms"}),
        (b'{"input": "poison"}', {"read_ms", "embed_ms", "send_ms"}),
    ],
)
def test_a_request_without_a_result_tells_the_steps_it_reached(ask, body, steps):
    answer, line = ask("POST", "/embed", data=body)

    assert {name for name in line.fields if name.endswith("_ms")} == steps
    assert "Server-Timing" not in answer.headers


def test_a_bug_has_its_traceback_in_the_requests_line(ask):
    _, line = ask("POST", "/embed", json={"input": "a"})
    assert line.exc_info is None
    FakeModel.tokenize, tokenize = lambda *_: {}["nothing"], FakeModel.tokenize
    try:
        _, line = ask("POST", "/embed", json={"input": "b"})
    finally:
        FakeModel.tokenize = tokenize

    assert (line.levelno, line.exc_info[0], line.fields["error"]) == (logging.ERROR, KeyError, "KeyError")


@pytest.mark.parametrize(
    ("mode", "slow_seconds", "kind"),
    [
        ("all", 60.0, "request"),
        ("all", 1e-9, "slow request"),
        ("slow", 60.0, None),
        ("slow", 1e-9, "slow request"),
        ("errors", 1e-9, None),
    ],
)
def test_a_request_that_went_well_has_a_line_if_asked_for(ask, mode, slow_seconds, kind):
    settings = {"log_requests": mode, "slow_seconds": slow_seconds}
    _, line = ask("POST", "/embed", settings, json={"input": "a"})

    assert (line and line.msg) == kind
    assert kind != "slow request" or line.levelno == logging.WARNING


HOSTILE = "/SECRET%0a%0d2026-01-01T00:00:00.000Z%20ERROR%20[1]%20forged%1b[2J%c2%85%e2%80%a8%ff"


@pytest.mark.parametrize("render", [logs.as_dated_text, logs.as_json])
@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", HOSTILE, {}),
        ("GET", f"/v1/models{HOSTILE}", {}),
        ("GET", "/" + "%1b" * 5000, {}),
        ("\x1b[2J\nERROR" + "x" * 5000, "/embed", {}),
        ("POST", "/embed", {"environ_overrides": {"REMOTE_ADDR": "\x1b\nERROR" + "x" * 5000}}),
        ("POST", "/embed?key=SECRET", {"json": {"input": "SECRET text", "model": "SECRET", "user": "SECRET"}}),
        ("POST", "/v1/embeddings", {"data": b'{"input": ["SECRET"', "headers": {"Authorization": "Bearer sk-1"}}),
        ("POST", "/v1/embeddings", {"json": {"input": "a", "encoding_format": "SECRET\n"}}),
        ("POST", "/embed", {"data": b"", "headers": {"Content-Type": "SECRET\x1b", "User-Agent": "SECRET\x1b"}}),
    ],
)
def test_a_line_is_short_printable_and_holds_nothing_secret(ask, render, method, path, options):
    _, line = ask(method, path, **options)
    (written,) = render(line)

    assert written.isprintable()
    assert len(written) < 1000
    assert [secret for secret in SECRETS if secret in written.replace("/SECRET%0A", "")] == []
    assert render is logs.as_dated_text or json.loads(written)["status"] >= 200
