"""What the pages for people have in common: their headers."""

from flask import Response

#: Caching of what has the digest of its content in its path.
FOR_A_YEAR = "public, max-age=31536000, immutable"


def secure(answer: Response, policy: str, caching: str) -> Response:
    """Add the headers of a page or of a file of it.

    Args:
        answer: the page or the file.
        policy: its Content-Security-Policy.
        caching: its Cache-Control.
    """
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = caching
    return answer
