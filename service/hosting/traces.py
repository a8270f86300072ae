"""OpenTelemetry traces of requests: each worker hands its spans to a process that sends them to a collector.

uWSGI ends a worker without a last word (``skip-atexit`` in uwsgi.ini): a thread of it would lose what is not sent yet.
That process outlives its worker by a few seconds at most, and costs it neither Python's lock nor an import.
"""

import fcntl
import importlib
import json
import logging
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from service.errors import BadSetting
from service.hosting import uwsgi

log = logging.getLogger(__name__)

#: A pipe takes so many bytes at once or none of them: PIPE_BUF.
MAX_SPAN_BYTES = 4096

#: A file of the run directory that each process which sends has locked.
LOCK = "traces.lock"
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05

#: Ids of the caller's trace and span, and whether it records them.
PARENT = re.compile(r"..-(?P<trace_id>.{32})-(?P<span_id>.{16})-(?P<flags>..)")

#: OpenTelemetry's names of what is known of a request; the rest, such as the name of a key, is left out.
ATTRIBUTES = {
    "request_id": "http.request.header.x-request-id",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "bytes_in": "http.request.body.size",
    "bytes_out": "http.response.body.size",
    "error": "error.type",
    "model": "embeddings.model",
    "texts": "embeddings.texts",
    "tokens": "embeddings.tokens",
}


class Traces:
    """Traces of the requests of this process.

    Args:
        endpoint: the address of an OTLP collector that speaks HTTP, without /v1/traces.

    Raises:
        BadSetting: a package is missing.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            importlib.import_module("opentelemetry.exporter.otlp.proto.http.version")
            importlib.import_module("opentelemetry.sdk.version")
        except ImportError:
            raise BadSetting(
                'EMBED_OTEL_ENDPOINT needs the packages of the extra "otel": pip install opentelemetry-sdk '
                "opentelemetry-exporter-otlp-proto-http, or leave the variable out"
            ) from None
        is_python = "python" in Path(sys.executable).name  # or it is uWSGI
        python = sys.executable if is_python else f"{sys.prefix}/bin/python"
        self._command = [python, "-m", "service.hosting.spans", f"{endpoint.rstrip('/')}/v1/traces"]
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None

    def start(self) -> None:
        """Start the process that sends; one that was inherited over a fork is left to the parent."""
        root = Path(__file__).parents[2]
        with ExitStack() as ours:
            run_dir = uwsgi.run_dir()
            locks = [ours.enter_context((run_dir / LOCK).open("w"))] if run_dir else []
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_SH)  # the process that sends keeps it
            numbers = [lock.fileno() for lock in locks]
            self._process = subprocess.Popen(  # noqa: S603  # ours
                self._command, bufsize=0, stdin=subprocess.PIPE, cwd=root, pass_fds=numbers
            )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def record(self, fields: Mapping[str, Any], seconds: Mapping[str, float], traceparent: str | None) -> None:
        """Hand over the span of a request that was answered just now, and a span for each of its steps in order.

        A span that finds no room, because the collector is slow, is dropped.
        """
        parent = PARENT.fullmatch(traceparent or "")
        if self._pipe is None or (parent and not int(parent["flags"], 16) & 1):
            return
        end = time.time_ns()
        steps = [(name, int(each * 1e9)) for name, each in seconds.items()]
        span = {
            "name": f"{fields['method']} {fields.get('route', '')}".strip(),
            "trace_id": parent["trace_id"] if parent else secrets.token_hex(16),
            "parent_id": parent["span_id"] if parent else None,
            "start": end - sum(each for _, each in steps),
            "steps": steps,
            "attributes": {name: fields[field] for field, name in ATTRIBUTES.items() if fields.get(field) is not None},
        }
        self._write(self._pipe, json.dumps(span).encode() + b"\n")

    def _write(self, pipe: int, line: bytes) -> None:
        if len(line) > MAX_SPAN_BYTES:
            return
        try:
            os.write(pipe, line)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._pipe = None  # and not closed: other threads may be about to write into it
            log.warning("the process that sends traces ended; this worker records no more of them")


def wait_until_sent(run_dir: Path) -> None:
    """Wait, for WAIT_SECONDS at most, for the processes that send traces: a supervisor may kill what is left then."""
    deadline = time.monotonic() + WAIT_SECONDS
    with suppress(FileNotFoundError), (run_dir / LOCK).open("r+") as lock:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(POLL_SECONDS)
