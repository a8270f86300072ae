"""``GET /``: the page, its files, and what it asks for that no other client needs."""

import hashlib
import html
import re
from base64 import b64decode
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import orjson
from flask import Blueprint, Flask, Response, abort, current_app, request

from service.api.wire import engines, read, reply, reranker
from service.engine.engine import Engine
from service.engine.model import Vectors
from service.errors import InvalidInput
from service.web.map import project
from service.web.pages import FOR_A_YEAR, secure

routes = Blueprint("web", __name__)

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}

#: Has the documents that the page links to; a wheel has none.
ROOT = Path(__file__).parents[2]

#: A key is typed into this page, so nothing of another host runs in it and nobody frames it.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

LANGUAGES = ("en", "zh")

#: An element of the page that says something; the locales have the words.
SAYS = re.compile(r'data-say="([\w.-]+)"([^<>]*)></')

#: The map compares each vector with every other.
MAX_VECTORS = 500


class Points(msgspec.Struct):
    """Vectors in base64, little-endian float32, as ``/v1/embeddings`` answers them."""

    HINTS: ClassVar = {"vectors": f"; send 1 to {MAX_VECTORS} vectors, as base64 of float32"}

    vectors: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_VECTORS)]


def register(app: Flask) -> None:
    """Serve the page and its files."""
    app.extensions["page"] = show
    app.register_blueprint(routes)


def show() -> Response:
    """Return the page in the language that the browser prefers."""
    language = request.accept_languages.best_match(LANGUAGES, "en")
    answer = secure(Response(_render(language), mimetype="text/html"), POLICY, "no-cache")
    answer.vary.update(["Accept", "Accept-Language"])
    return answer


@routes.get("/web/<digest>/<path:name>")
def send(digest: str, name: str) -> Response:
    """Return a file of the page. Its digest may be that of another release, while workers are replaced."""
    content = _files().get(name)
    if content is None:
        abort(404)
    answer = Response(content, content_type=TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8"))
    return secure(answer, POLICY, FOR_A_YEAR if digest == _digest() else "no-cache")


@routes.get("/web/state")
def state() -> Response:
    """Return what the workers do."""
    return secure(Response(current_app.extensions["state"](), mimetype="application/json"), POLICY, "no-store")


@routes.get("/web/models")
def models() -> Response:
    """Describe each model as the page shows it, and the limits."""
    settings, found = current_app.config, list(engines())
    limits, scorer = found[0].limits, reranker()
    return reply(
        {
            "models": [describe(each) for each in found],
            "limits": {
                "max_inputs": settings["MAX_INPUTS"],
                "max_body_bytes": settings["MAX_CONTENT_LENGTH"],
                "max_queue_tokens": limits.max_queue_tokens,
                "max_requests": limits.max_requests,
                "request_timeout": limits.request_timeout,
                "truncate": settings["TRUNCATE"],
            },
            "reranker": scorer.model.name if scorer else None,
            "version": settings["VERSION"],
        }
    )


@routes.post("/web/map")
def create_map() -> Response:
    """Return vectors as points of a plane."""
    found = project(decode(read(Points).vectors))
    return reply(found._asdict())


def describe(engine: Engine) -> dict[str, Any]:
    """Return what is known of a model."""
    model = engine.model
    names = [name for name, each in engines().by_name.items() if each is engine and name != model.name]
    return {
        "name": model.name,
        "aliases": names,
        "revision": model.revision,
        "fingerprint": model.fingerprint,
        "backend": model.backend,
        "dtype": model.dtype,
        "cosine": model.cosine,
        "pooling": model.pooling,
        "dimensions": model.dimension,
        "max_length": model.max_length,
        "max_batch_tokens": engine.limits.max_batch_tokens or model.max_batch_tokens,
        "prompts": dict(model.prompts),
        "default_prompt": model.default_prompt,
    }


def decode(vectors: list[str]) -> Vectors:
    """Return float32 of shape (vectors, dimensions).

    Raises:
        InvalidInput: one is no such vector, or they differ in length.
    """
    try:
        found = [np.frombuffer(b64decode(each, validate=True), "<f4") for each in vectors]
        stacked = np.stack(found)
    except ValueError:
        raise InvalidInput("vectors: send base64 of float32, as many of each", "vectors") from None
    if not stacked.size or not np.isfinite(stacked).all() or np.abs(stacked).max() > 1e6:
        raise InvalidInput("vectors: send numbers that are finite, and no empty vectors", "vectors")
    return stacked


@cache
def _render(language: str) -> str:
    words = orjson.loads(_files()[f"locales/{language}.json"])
    page = _files()["index.html"].decode().replace("{digest}", _digest()).replace("{language}", language)
    return SAYS.sub(lambda found: f"{found[0][:-2]}{html.escape(words[found[1]])}</", page)


@cache
def _digest() -> str:
    total = hashlib.sha256()
    for name, content in sorted(_files().items()):
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


@cache
def _files() -> dict[str, bytes]:
    """Return the files by their paths; read once, so that one release has one digest."""
    documents = ((f"docs/{each.name}", each.read_bytes()) for each in (ROOT / "docs").glob("forking*.md"))
    return dict(_walk(resources.files("service.web") / "static", "")) | dict(documents)


def _walk(directory: Traversable, path: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for each in directory.iterdir():
        name = path + each.name
        found += _walk(each, f"{name}/") if each.is_dir() else [(name, each.read_bytes())]
    return found
