"""``GET /docs``: swagger-ui, from its package; nothing is loaded from other hosts."""

from functools import cache
from importlib import resources

from flask import Blueprint, Response, url_for

from service.web.pages import POLICY, Files

routes = Blueprint("docs", __name__)

#: What the page loads of the package.
NAMES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

#: swagger-ui writes style attributes, and has icons in data: URLs.
LOOSER = f"{POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Text embeddings</title>
<link rel="icon" href="{files}/favicon-32x32.png">
<link rel="stylesheet" href="{files}/swagger-ui.css">
<body>
<div id="swagger-ui" data-document="{document}"></div>
<script src="{files}/swagger-ui-bundle.js"></script>
<script src="{files}/start.js"></script>
</body>
</html>
"""

#: By default swagger-ui would have the document judged by a service of its own.
START = b"""\
const place = document.getElementById("swagger-ui");
const options = { deepLinking: true, tryItOutEnabled: true, validatorUrl: null };
SwaggerUIBundle({ domNode: place, url: place.dataset.document, ...options });
"""


@routes.get("/docs")
def show() -> Response:
    """Return the page."""
    page = PAGE.format(files=f"{url_for('docs.show')}/{files().digest}", document=url_for("openapi.document"))
    return files().answer(page, "text/html", "no-cache")


@routes.get("/docs/<digest>/<name>")
def send(digest: str, name: str) -> Response:
    """Return a file of the page."""
    return files().send(digest, name)


@cache
def files() -> Files:
    """Return the files of the page."""
    import flask_swagger_ui

    package = resources.files(flask_swagger_ui) / "dist"
    return Files({"start.js": START} | {name: (package / name).read_bytes() for name in NAMES}, LOOSER)
