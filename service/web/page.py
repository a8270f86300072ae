"""``GET /``: the page, its files, and what it asks for that no other client needs."""

import hashlib
import html
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, abort, current_app, request

from service.api.choices import decide_cut
from service.api.wire import engines, reply, reranker
from service.engine.engine import Engine
from service.web.pages import FOR_A_YEAR, secure

routes = Blueprint("web", __name__)

STATIC = Path(__file__).parent / "static"

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}

#: A key is typed into this page, so nothing of another host runs in it and nobody frames it. The page has its style in
#: itself, so that it is painted with the first answer.
POLICY = (
    "default-src 'self'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)

LANGUAGES = ("en", "zh")

#: An element of the page that says something; the locales have the words.
SAYS = re.compile(r'data-say="([\w.-]+)"([^<>]*)></')


def register(app: Flask) -> None:
    """Serve the page and its files."""
    app.extensions["page"] = show
    app.register_blueprint(routes)


def show() -> Response:
    """Return the page in the language that the browser prefers."""
    language = request.accept_languages.best_match(LANGUAGES, "en")
    answer = secure(Response(_render(language), mimetype="text/html"), _policy(), "no-cache")
    answer.vary.update(["Accept", "Accept-Language"])
    return answer


@routes.get("/web/<digest>/<path:name>")
def send(digest: str, name: str) -> Response:
    """Return a file of the page. Its digest may be that of another release, while workers are replaced."""
    content = _files().get(name)
    if content is None:
        abort(404)
    answer = Response(content, content_type=TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8"))
    return secure(answer, _policy(), FOR_A_YEAR if digest == _digest() else "no-cache")


@routes.get("/web/state")
def state() -> Response:
    """Return what the workers do."""
    return secure(Response(current_app.extensions["state"](), mimetype="application/json"), _policy(), "no-store")


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
        "truncation_side": decide_cut().side or model.truncation_side,
        "max_batch_tokens": engine.limits.max_batch_tokens or model.max_batch_tokens,
        "prompts": dict(model.prompts),
        "default_prompt": model.default_prompt,
    }


@cache
def _render(language: str) -> str:
    words = orjson.loads(_files()[f"locales/{language}.json"])
    page = _files()["index.html"].decode().replace("{digest}", _digest()).replace("{language}", language)
    page = SAYS.sub(lambda found: f"{found[0][:-2]}{html.escape(words[found[1]])}</", page)
    return page.replace("{style}", _style())


@cache
def _policy() -> str:
    return POLICY.format(style=b64encode(hashlib.sha256(_style().encode()).digest()).decode())


def _style() -> str:
    return (_files()["vendor/uplot/uPlot.min.css"] + _files()["style.css"]).decode()


@cache
def _digest() -> str:
    total = hashlib.sha256()
    for name, content in sorted(_files().items()):
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


@cache
def _files() -> dict[str, bytes]:
    """Return the files by their paths; read once, so that one release has one digest."""
    paths = (path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
