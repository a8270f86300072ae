"""The apps of the laboratory, chosen by ``LAB_APP``; each says on standard error who imports, loads and serves it.

``device`` is the notes' app on a device that refuses after a fork, ``cuda`` on the real one, ``torch`` on the CPU after
a first ``encode``, as people warm up, ``service`` this project.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

REFUSAL = "Cannot re-initialize CUDA in forked subprocess"


def tell(event: str) -> None:
    """Write ``LAB event pid`` in one piece, for the observer."""
    os.write(2, f"LAB {event} {os.getpid()}\n".encode())


def device() -> Callable[[list[str]], Any]:
    """Use the stand-in: initialised at import, as ``model.to("cuda")`` does, and again by each request."""
    library = ctypes.CDLL(os.environ["LAB_DEVICE"])
    library.device_init()
    tell("load")

    def encode(texts: list[str]) -> list[list[float]]:
        if library.device_init():
            raise RuntimeError(REFUSAL)
        return [[float(len(text))] for text in texts]

    return encode


def sentence_transformers(device_name: str) -> Callable[[list[str]], Any]:
    """Load the model as the notes do, and warm it up."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.environ["BENCH_MODEL"], device=device_name)
    model.encode(["a text to warm up with"] * 32)
    tell("load")
    return lambda texts: model.encode(texts).astype(float).tolist()


def notes_app(encode: Callable[[list[str]], Any]) -> Any:
    """Build the notes' app: one route, the model at module level."""
    from flask import Flask, jsonify, request

    app = Flask(__name__)

    @app.post("/embed")
    def embed() -> Any:
        vectors = encode(request.get_json()["input"])
        return jsonify({"data": [{"embedding": vector, "index": i} for i, vector in enumerate(vectors)]})

    return app


def create() -> Any:
    """Import the app that is asked for, as a server would."""
    tell("import")
    kind = os.environ["LAB_APP"]
    if kind == "service":
        import wsgi

        return wsgi.app
    return notes_app(device() if kind == "device" else sentence_transformers("cuda" if kind == "cuda" else "cpu"))


class Told:
    """A WSGI app that says which process serves each request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        tell("serve")
        served: Iterable[bytes] = self._app(environ, start_response)
        return served


app = create()
app.wsgi_app = Told(app.wsgi_app)

if "uvicorn" in sys.argv[0]:
    from a2wsgi import WSGIMiddleware

    asgi = WSGIMiddleware(app)
