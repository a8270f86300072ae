"""What the pages for people have in common: their files, which one release has under one digest, and their headers."""

import hashlib
from collections.abc import Mapping

from flask import Response, abort, request

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
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

    def __init__(self, contents: Mapping[str, bytes], policy: str) -> None:
        self.contents = contents
        self.policy = policy
        total = hashlib.sha256()
        for name, content in sorted(contents.items()):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        self.digest = total.hexdigest()[:16]

    def send(self, digest: str, name: str) -> Response:
        """Return a file. Its digest may be that of another release, while workers are replaced."""
        if name not in self.contents:
            abort(404)
        kind = TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8")
        answer = Response(self.contents[name], content_type=kind)
        answer.set_etag(self.digest)
        answer.make_conditional(request)
        return self.secure(answer, "public, max-age=31536000, immutable" if digest == self.digest else "no-cache")

    def secure(self, answer: Response, caching: str) -> Response:
        """Add the headers of the page or of a file of it; ``caching`` is its Cache-Control."""
        answer.headers["Content-Security-Policy"] = self.policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = caching
        return answer
