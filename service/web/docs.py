"""``GET /docs``: swagger-ui, from its package; nothing is loaded from other hosts."""

import hashlib
from functools import cache
from importlib import resources

from flask import Blueprint, Flask, Response, abort, request, url_for

from service.web.pages import FOR_A_YEAR, secure

routes = Blueprint("docs", __name__)

#: What the page loads, and its Content-Type.
FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}

#: swagger-ui writes style attributes, and has icons in data: URLs. Keys are typed into this page, so nobody frames it.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Text embeddings</title>
<link rel="icon" href="{favicon}">
<link rel="stylesheet" href="{style}">
<body>
<div id="swagger-ui" data-document="{document}"></div>
<script src="{bundle}"></script>
<script src="{start}"></script>
</body>
</html>
"""

#: By default swagger-ui would have the document judged by a service of its own.
START = b"""\
"use strict";
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""


@routes.get("/docs")
def show() -> Response:
    """Return the page."""
    page = PAGE.format(
        favicon=_url("favicon-32x32.png"),
        style=_url("swagger-ui.css"),
        document=url_for("openapi.document"),
        bundle=_url("swagger-ui-bundle.js"),
        start=_url("start.js"),
    )
    return secure(Response(page, mimetype="text/html"), POLICY, "no-cache")


@routes.get("/docs/<digest>/<name>")
def send(digest: str, name: str) -> Response:
    """Return a file of the page. Its digest may be that of another release, while workers are replaced."""
    if name not in FILES:
        abort(404)
    answer = Response(_read(name), content_type=FILES[name])
    answer.set_etag(_digest(name))
    answer.make_conditional(request)
    return secure(answer, POLICY, FOR_A_YEAR if digest == _digest(name) else "no-cache")


def register(app: Flask) -> None:
    """Serve the page and its files."""
    app.register_blueprint(routes)


def _url(name: str) -> str:
    return url_for("docs.send", digest=_digest(name), name=name)


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_read(name)).hexdigest()[:16]


def _read(name: str) -> bytes:
    import flask_swagger_ui

    return START if name == "start.js" else (resources.files(flask_swagger_ui) / "dist" / name).read_bytes()
