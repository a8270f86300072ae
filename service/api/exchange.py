"""One request and its answer: its ids, where its time went, and what its line in the log says."""

import re
import secrets
import time
from typing import Any, cast
from urllib.parse import quote

from flask import Response, request

from service.engine.model import Embeddings

#: As in deploy/nginx/conf.d/embeddings.conf.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: https://www.w3.org/TR/trace-context: version, trace id, parent id, flags.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

#: The header of a model's fingerprint, in answers and in requests that pin it.
FINGERPRINT = "X-Model-Fingerprint"

#: The header of how many texts were answered from the cache.
HITS = "X-Cache-Hits"

#: Indices of cut texts that the header lists; the body lists all.
MAX_LISTED = 100

#: The steps that a client is told of in ``Server-Timing``.
STEPS = ("tokenize", "queue", "forward", "serialize")

MAX_METHOD_CHARACTERS = 20
MAX_ADDRESS_CHARACTERS = 64
MAX_PATH_CHARACTERS = 200


def current() -> "Exchange":
    """Return the exchange of the request being served; the door began it."""
    return cast("Exchange", request.environ["embed.exchange"])


class Exchange:
    """What is known of a request: no text, no vector, no key, no query string."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.started = time.monotonic()
        self._environ = environ
        request_id, traceparent = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", "")
        self.request_id = request_id if REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)
        trace = TRACEPARENT.fullmatch(traceparent)
        self.traceparent = traceparent if trace else None
        self.fields: dict[str, Any] = {"request_id": self.request_id} | ({"trace_id": trace[1]} if trace else {})
        self.seconds: dict[str, float] = {}
        #: What the request was answered with instead of a result; a bug has a traceback in the log.
        self.error: Exception | None = None
        self.is_bug = False
        self.status = 0
        #: The SHA-256 of the model that made the vectors, and the indices of the texts that it did not read to the end.
        self.fingerprint = ""
        self.cut: list[int] = []
        #: Texts that were answered from the cache.
        self.hits = 0
        self._route = ""
        self._bytes_out: int | None = None
        self._step_began = self.started

    def embeds(self, model: str, texts: int) -> None:
        """Note that so many texts were read and go to the model."""
        self.end_step("read")
        self.fields |= {"model": model, "texts": self.fields.get("texts", 0) + texts}

    def embedded(self, embeddings: Embeddings) -> None:
        """Note a result; a request may have several."""
        self.fields["tokens"] = self.fields.get("tokens", 0) + embeddings.tokens
        for step, seconds in embeddings.timings._asdict().items():
            self.seconds[step] = self.seconds.get(step, 0.0) + seconds
        self.cut = embeddings.cut
        if embeddings.hits:
            self.hits += embeddings.hits
            self.fields["cache_hits"] = self.hits
        self._step_began += sum(embeddings.timings)  # the engine's own times, so that the steps sum to the whole

    def answered(self, route: str, answer: Response) -> None:
        """Note that the answer is ready to be sent; ``route`` is "" if none has this path."""
        self._route = route
        self.status = answer.status_code
        self._bytes_out = answer.calculate_content_length()
        is_embedded, is_read = "forward" in self.seconds, "read" in self.seconds
        self.end_step("serialize" if is_embedded else "embed" if is_read else "answer")

    def end_step(self, name: str) -> None:
        """Note that a step ends here, and the next one begins."""
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._step_began
        self._step_began = now

    def describe(self) -> dict[str, Any]:
        """Return the fields of the line."""
        path = self._environ.get("PATH_INFO", "")[:MAX_PATH_CHARACTERS].encode("latin-1", "replace")  # as PEP 3333 says
        self.fields |= {
            "client": self._environ.get("REMOTE_ADDR", "")[:MAX_ADDRESS_CHARACTERS],
            "method": self._environ["REQUEST_METHOD"][:MAX_METHOD_CHARACTERS],
            **({"route": self._route} if self._route else {"path": quote(path)[:MAX_PATH_CHARACTERS]}),
            "status": self.status,
            "bytes_in": self._environ["wsgi.input"].size,
            "bytes_out": self._bytes_out,
        }
        if self.error:
            self.fields["error"] = type(self.error).__name__
        self.fields["ms"] = _round(self._step_began - self.started)
        return self.fields | {f"{step}_ms": _round(seconds) for step, seconds in self.seconds.items()}

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        headers = {"X-Request-ID": self.request_id}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        if self.fingerprint:
            headers[FINGERPRINT] = self.fingerprint
        if self.cut:
            headers["X-Truncated"] = ",".join(map(str, self.cut[:MAX_LISTED]))
        if self.hits:
            headers[HITS] = str(self.hits)
        if "serialize" in self.seconds:
            headers["Server-Timing"] = ", ".join(f"{step};dur={self.seconds[step] * 1e3:.2f}" for step in STEPS)
        return headers


def _round(seconds: float) -> float:
    """Return milliseconds."""
    return round(seconds * 1e3, 2)
