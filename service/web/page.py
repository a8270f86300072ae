"""``GET /``: the page, its files, and what it asks for that no other client needs."""

import hashlib
import html
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import orjson
from flask import Blueprint, Response, current_app, request

from service.api import faults
from service.api.envelope import STATUS, envelope
from service.api.wire import engines, find_cut, read, reply, reranker
from service.engine.engine import Engine
from service.errors import InvalidInput
from service.web.map import project
from service.web.pages import POLICY, Files

routes = Blueprint("web", __name__)
refuse = faults.register(routes, STATUS, envelope)

STATIC = Path(__file__).parent / "static"

#: The page has its style in itself, so that it is painted with the first answer.
STYLED = POLICY + "; style-src 'sha256-{style}'"

LANGUAGES = ("en", "zh")

#: An element of the page that says something; the locales have the words.
SAYS = re.compile(r'data-say="([\w.-]+)"([^<>]*)></')

#: What the page shows of a model as it is, and of the limits of an engine.
FACTS = ("name", "revision", "fingerprint", "backend", "dtype", "cosine", "pooling", "max_length", "default_prompt")
LIMITS = ("max_queue_tokens", "max_requests", "request_timeout")

#: As many texts as the page compares, vectors as long as models make them, and the JSON of so many of them.
MAX_VECTORS = 50
MAX_NUMBERS = 8192
MAX_MAP_BYTES = 8 * 2**20

#: The bounds of a component are far above what a model gives, and small enough to be squared.
Vector = Annotated[
    list[Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]], msgspec.Meta(min_length=1, max_length=MAX_NUMBERS)
]


class Points(msgspec.Struct):
    """Vectors, all of one length."""

    HINTS: ClassVar = {"vectors": f"; send 1 to {MAX_VECTORS} lists of at most {MAX_NUMBERS} numbers"}

    vectors: Annotated[list[Vector], msgspec.Meta(min_length=1, max_length=MAX_VECTORS)]


def show() -> Response:
    """Return the page in the language that the browser prefers."""
    language = request.accept_languages.best_match(LANGUAGES, "en")
    answer = files().answer(_render(language), "text/html", "no-cache")
    answer.vary.update(["Accept", "Accept-Language"])
    return answer


@routes.get("/web/<digest>/<path:name>")
def send(digest: str, name: str) -> Response:
    """Return a file of the page."""
    return files().send(digest, name)


@routes.get("/web/state")
def state() -> Response:
    """Return what the workers do."""
    return files().answer(current_app.extensions["state"](), "application/json", "no-store")


@routes.get("/web/models")
def models() -> Response:
    """Describe each model as the page shows it, and the limits."""
    settings, found = current_app.config, list(engines())
    scorer = reranker()
    limits = {
        "max_inputs": settings["MAX_INPUTS"],
        "max_body_bytes": settings["MAX_CONTENT_LENGTH"],
        **{name: getattr(found[0].limits, name) for name in LIMITS},
        "truncate": settings["TRUNCATE"],
        "reranker": scorer.model.name if scorer else None,
        "version": settings["VERSION"],
    }
    return reply({"models": [describe(each) for each in found], "limits": limits})


@routes.post("/web/map")
def create_map() -> Response:
    """Return vectors as points of a plane."""
    request.max_content_length = min(MAX_MAP_BYTES, current_app.config["MAX_CONTENT_LENGTH"])
    vectors = read(Points).vectors
    if len(set(map(len, vectors))) > 1:
        raise InvalidInput("vectors: send as many numbers for each", "vectors")
    return reply(project(np.array(vectors, np.float32))._asdict())


def describe(engine: Engine) -> dict[str, Any]:
    """Return what is known of a model."""
    model = engine.model
    names = [name for name, each in engines().by_name.items() if each is engine and name != model.name]
    return {name: getattr(model, name) for name in FACTS} | {
        "aliases": names,
        "dimensions": model.dimension,
        "truncation_side": find_cut().side or model.truncation_side,
        "max_batch_tokens": engine.max_batch_tokens,
        "prompts": dict(model.prompts),
    }


@cache
def files() -> Files:
    """Return the files of the page."""
    paths = [path for path in STATIC.rglob("*") if path.is_file()]
    contents = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
    contents["style.css"] = contents["vendor/uplot/uPlot.min.css"] + contents["style.css"]
    digest = hashlib.sha256(contents["style.css"]).digest()
    return Files(contents, STYLED.format(style=b64encode(digest).decode()))


@cache
def _render(language: str) -> bytes:
    contents = files().contents
    words = orjson.loads(contents[f"locales/{language}.json"])
    page = contents["index.html"].decode().replace("{digest}", files().digest).replace("{language}", language)
    page = SAYS.sub(lambda found: f"{found[0][:-2]}{html.escape(words[found[1]])}</", page)
    return page.replace("{style}", contents["style.css"].decode()).encode()
