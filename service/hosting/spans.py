"""The process that sends the spans of a worker: ``python -m service.hosting.spans URL``, a JSON object a line.

It ends after its standard input has ended, which is when its worker has.
"""

import json
import os
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from service import logs

#: Spans wait no longer for others.
DELAY_SECONDS = 1.0

#: The most that one attempt to send takes, its retries included; the last one too.
FLUSH_SECONDS = 5.0

MAX_BATCH = 512

#: Requests that wait while the collector is slow; beyond that the pipe fills, and the worker drops.
MAX_WAITING = 2048


def main(url: str) -> None:
    """Send what arrives until the input ends."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the worker is the sign to stop
    logs.set_up_logging()
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    room = threading.Semaphore(MAX_WAITING)
    threading.Thread(target=_read, args=(lines, room), daemon=True).start()
    exporter, resource = _open(url)
    while True:
        batch = _gather(lines)
        spans = [span for line in batch if line for span in build(json.loads(line), resource)]
        if spans:
            exporter.export(spans)
        if batch[-1] is None:
            return
        room.release(len(batch))


def build(request: dict[str, Any], resource: Any) -> list[Any]:
    """Return the span of a request, and those of its steps, one after the other inside it."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: str, *, is_remote: bool = False) -> SpanContext:
        return SpanContext(int(request["trace_id"], 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))

    whole = context(secrets.token_hex(8))
    spans, now = [], request["start"]
    for name, nanoseconds in request["steps"]:
        times = {"start_time": now, "end_time": now + nanoseconds}
        spans.append(ReadableSpan(name, context(secrets.token_hex(8)), whole, resource, **times))
        now += nanoseconds
    failed = request["attributes"]["http.response.status_code"] >= 500
    parent = context(request["parent_id"], is_remote=True) if request["parent_id"] else None
    status = Status(StatusCode.ERROR if failed else StatusCode.UNSET)
    times = {"start_time": request["start"], "end_time": now}
    attributes = request["attributes"]
    kind = SpanKind.SERVER
    return [
        ReadableSpan(request["name"], whole, parent, resource, attributes, kind=kind, status=status, **times),
        *spans,
    ]


def _gather(lines: "SimpleQueue[bytes | None]") -> list[bytes | None]:
    """Wait for a line and DELAY_SECONDS for others; None, the last one, is waited for no longer."""
    batch = [lines.get()]
    deadline = time.monotonic() + DELAY_SECONDS
    with suppress(Empty):
        while batch[-1] is not None and len(batch) < MAX_BATCH:
            batch.append(lines.get(timeout=max(0.0, deadline - time.monotonic())))
    return batch


def _read(lines: "SimpleQueue[bytes | None]", room: threading.Semaphore) -> None:
    for line in sys.stdin.buffer:
        room.acquire()
        lines.put(line)
    lines.put(None)


def _open(url: str) -> tuple[Any, Any]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource

    name = os.environ.get("OTEL_SERVICE_NAME", "uwsgi-embeddings")
    return OTLPSpanExporter(url, timeout=FLUSH_SECONDS), Resource.create({"service.name": name})


if __name__ == "__main__":
    main(sys.argv[1])
