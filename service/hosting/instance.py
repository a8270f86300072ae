"""The routes of the monitor: the state of an instance, by path."""

import json
import os
from pathlib import Path
from typing import Any

from service import metrics
from service.batches.batch import Batches
from service.hosting import probes, roster, scrape, uwsgi
from service.hosting.probes import State

#: Kubernetes, load balancers and people ask for different names.
READINESS = {"/readyz", "/health"}


class Instance:
    """What can be asked about an instance.

    Args:
        run_dir: its directory.
        batches: EMBED_BATCHES; "" if clients have none here.
    """

    def __init__(self, run_dir: Path, batches: str = "") -> None:
        self.is_stopping = False
        self._run_dir = run_dir
        self._batches = Batches(Path(batches)) if batches else None

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return the status, the type and the body for a path."""
        if path == "/metrics":
            return 200, metrics.CONTENT_TYPE, scrape.write(scrape.Shared(self._run_dir, self._batches))
        if path == "/livez":
            return _write(probes.judge_liveness(uwsgi.workers(), scrape.beats(self._run_dir)))
        if path in READINESS:
            return _write(self._judge_readiness())
        if path == roster.PATH:
            return 200, "application/json", roster.write(self._run_dir, os.getpid())
        message = "there is no such route; ask for /livez, /readyz, /health or /metrics"
        return 404, "application/json", _explain("not_found", message, "invalid_request_error")

    def _judge_readiness(self) -> State:
        beats = scrape.beats(self._run_dir)
        return probes.judge_readiness(uwsgi.workers(), beats, is_stopping=self.is_stopping)


def _write(state: State) -> tuple[int, str, bytes]:
    if state.is_good:
        return 200, "application/json", json.dumps({"status": state.word, "reason": state.sentence}).encode()
    return 503, "application/json", _explain(state.word, state.sentence, "server_error")


def _explain(code: str, message: str, kind: str) -> bytes:
    """Build the service's error answer (``service/api/envelope.py``)."""
    inner: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"status": code, "error": inner, "message": message, "detail": message}).encode()
