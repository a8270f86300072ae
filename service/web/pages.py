"""What the pages for people have in common: their files, which one release has under one digest, and their headers."""

import hashlib
from collections.abc import Mapping

from flask import Response, abort, request

#: Keys are typed into the pages, so nothing of another host runs in them and nobody frames them.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}


class Files:
    """Files of a page by their names.

    Args:
        contents: the bytes of each.
        policy: their Content-Security-Policy, and the page's.
    """

    def __init__(self, contents: Mapping[str, bytes], policy: str = POLICY) -> None:
        self.contents = contents
        self.policy = policy
        self.digest = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:16]

    def send(self, digest: str, name: str) -> Response:
        """Return a file. Its digest may be that of another release, while workers are replaced."""
        if name not in self.contents:
            abort(404)
        caching = "public, max-age=31536000, immutable" if digest == self.digest else "no-cache"
        answer = self.answer(self.contents[name], TYPES.get(name.rpartition(".")[2], "text/plain"), caching)
        answer.set_etag(self.digest)
        answer.make_conditional(request)
        return answer

    def answer(self, content: str | bytes, mimetype: str, caching: str) -> Response:
        """Return the page, a file of it, or what it asks for; ``caching`` is its Cache-Control."""
        answer = Response(content, mimetype=mimetype)
        answer.headers["Content-Security-Policy"] = self.policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = caching
        return answer
