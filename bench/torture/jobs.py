"""Requests, built once, and the vectors that they should get."""

import base64
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench import texts
from bench.torture.clients import CUT, LOST, WRONG, Address, Answer, Ask
from bench.torture.loop import LOST_SECONDS, Loop

#: As in service.models.openvino: vectors in bfloat16 stay above 0.9999.
LEAST_COSINE = 0.9998

#: What an overloaded service has for a request: a status that clients know what to do with.
DOCUMENTED = frozenset({200, 400, 401, 404, 405, 408, 413, 415, 429, 504})

#: Seeds of the requests, 2000 and 40 for each. Equal texts that wait together are computed once: with 6 requests of
#: documents the service answered four times what it can.
SHORT_SEEDS, DOCUMENT_SEEDS = (7,), (7, 8, 9)

#: Texts at a time whose vectors are asked for beforehand: on a slow machine, 2048 take longer than a request may.
ALONE = 256

GIANT_TEXTS = 2048

#: What the large requests give the service.
PATIENCE_SECONDS = 60.0

Array = np.ndarray[Any, np.dtype[np.float32]]


class Job(NamedTuple):
    """A request and the vectors that it should get."""

    sent: bytes
    expected: Array


class Jobs(NamedTuple):
    """The requests of all scenes: a short text, 32 documents, 2048 short texts.

    ``patient`` and ``wide`` may wait for ``PATIENCE_SECONDS``.
    """

    short: list[Job]
    documents: list[Job]
    patient: Job
    wide: Job


def make(model: str, address: Address, deadline: float) -> Jobs:
    """Build the requests.

    The vectors are those of sentence-transformers in float32. For 2048 texts that takes too long, so theirs are the
    service's own: what it answers while it has nothing else to do.

    Args:
        model: a directory.
        address: of the service.
        deadline: the seconds that a short text and 32 documents give the service.

    Raises:
        RuntimeError: the service did not answer.
    """
    short, documents = _bodies("q32", SHORT_SEEDS), _bodies("d8", DOCUMENT_SEEDS)
    bodies = short + documents
    vectors = _reference(model, [text for body in bodies for text in body])
    of = [Job(request(body, deadline), np.stack([vectors[text] for text in body])) for body in bodies]
    patient = Job(request(bodies[-1], PATIENCE_SECONDS), of[-1].expected)
    rng = random.Random(3)
    wide = ask_alone(address, [texts.query(rng) for _ in range(2048)])
    return Jobs(of[: len(short)], of[len(short) :], patient, wide)


def _bodies(workload: str, seeds: Sequence[int]) -> list[list[str]]:
    loads = (load for seed in seeds for load in texts.workloads(seed=seed))
    return [body for load in loads if load.name == workload for body in load.texts]


def giants(number: int) -> list[bytes]:
    """Build requests of 2048 documents each, all of them different, which may wait for ``PATIENCE_SECONDS``."""
    rng = random.Random(4)
    return [request([texts.english(rng, 60) for _ in range(GIANT_TEXTS)], PATIENCE_SECONDS) for _ in range(number)]


def ask_alone(address: Address, body: list[str]) -> Job:
    """Build a request; its vectors are what the service answers while it has nothing else to do.

    Raises:
        RuntimeError: the service did not answer.
    """
    parts = [_ask(address, body[first : first + ALONE]) for first in range(0, len(body), ALONE)]
    return Job(request(body, PATIENCE_SECONDS), np.concatenate(parts))


def request(body: list[str], deadline: float) -> bytes:
    """Build the bytes of a request for vectors in base64."""
    encoded = json.dumps({"input": body, "encoding_format": "base64"}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(encoded)}\r\n"
    return f"{head}X-Request-Timeout: {deadline:g}\r\n\r\n".encode() + encoded


def get(path: str) -> bytes:
    """Build the bytes of a request for a page."""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


def check(answer: Answer, expected: Array, least: float = LEAST_COSINE) -> Answer:
    """Return the answer, as WRONG if it has other vectors than expected, and as CUT if it ends before its end."""
    if answer.status != 200:
        return answer._replace(body=b"")
    try:
        said = json.loads(answer.body)
    except ValueError:
        return answer._replace(status=CUT, body=b"")
    try:
        right = bool((np.sum(_vectors(said) * expected, axis=1) >= least).all())
    except (ValueError, KeyError, TypeError):
        right = False
    return answer._replace(status=200 if right else WRONG, body=b"")


def check_giant(answer: Answer) -> Answer:
    """Return the answer to one of ``giants``, as WRONG if it lacks vectors, and as CUT if it ends before its end.

    To compute all of theirs beforehand would take longer than the scene.
    """
    return check(answer, np.zeros((GIANT_TEXTS, 1), np.float32), least=0.0)


def percentile(seconds: Iterable[float], percent: int) -> float:
    """Return a percentile, 0 of nothing."""
    found = list(seconds)
    return round(float(np.percentile(found, percent)), 4) if found else 0.0


def count(answers: Iterable[Answer]) -> dict[str, int]:
    """Return how many answers had each status."""
    names = {0: "closed", WRONG: "wrong", LOST: "lost", CUT: "cut"}
    statuses = Counter(answer.status for answer in answers)
    return {names.get(status, str(status)): number for status, number in sorted(statuses.items())}


def _ask(address: Address, body: list[str]) -> Array:
    loop, answers = Loop(), list[Answer]()
    Ask(loop, address, request(body, PATIENCE_SECONDS), answers.append)
    loop.run(LOST_SECONDS)
    if answers[0].status != 200:
        raise RuntimeError(f"{len(body)} texts were answered with {answers[0].status}")
    return _vectors(json.loads(answers[0].body))


def _vectors(said: dict[str, Any]) -> Array:
    rows = [base64.b64decode(item["embedding"]) for item in said["data"]]
    return np.frombuffer(b"".join(rows), np.float32).reshape(len(rows), -1)


def _reference(model: str, all_texts: list[str]) -> dict[str, Array]:
    from sentence_transformers import SentenceTransformer

    encoded = SentenceTransformer(model, device="cpu").encode(all_texts, show_progress_bar=False)
    return dict(zip(all_texts, np.asarray(encoded, np.float32), strict=True))
