"""The app that ``LAB_APP`` names; it logs which process imports, loads and serves it.

``device`` is the notes' app on a stand-in for CUDA (device.c), ``cuda`` on a GPU, ``torch`` on the CPU; ``service`` is
this project.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

REFUSAL = "Cannot re-initialize CUDA in forked subprocess"


def _log(event: str) -> None:
    """Write ``LAB event pid`` with one system call, so that processes do not mix their lines."""
    os.write(2, f"LAB {event} {os.getpid()}\n".encode())


def _load_device() -> Callable[[list[str]], Any]:
    library = ctypes.CDLL(os.environ["LAB_DEVICE"])
    library.device_init()  # at import, as model.to("cuda") does
    _log("load")

    def encode(texts: list[str]) -> list[list[float]]:
        if library.device_init():
            raise RuntimeError(REFUSAL)
        return [[float(len(text))] for text in texts]

    return encode


def _load_model(device: str) -> Callable[[list[str]], Any]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.environ["BENCH_MODEL"], device=device)
    model.encode(["a text to warm up with"] * 32)
    _log("load")
    return lambda texts: model.encode(texts).astype(float).tolist()


def _build_notes_app(encode: Callable[[list[str]], Any]) -> Any:
    from flask import Flask, jsonify, request

    app = Flask(__name__)

    @app.post("/embed")
    def embed() -> Any:
        vectors = encode(request.get_json()["input"])
        return jsonify({"data": [{"embedding": vector, "index": i} for i, vector in enumerate(vectors)]})

    return app


def _create() -> Any:
    _log("import")
    kind = os.environ["LAB_APP"]
    if kind == "service":
        import wsgi

        return wsgi.app
    return _build_notes_app(_load_device() if kind == "device" else _load_model("cuda" if kind == "cuda" else "cpu"))


class _ServeLogger:
    """WSGI middleware that logs which process serves each request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        _log("serve")
        served: Iterable[bytes] = self._app(environ, start_response)
        return served


app = _create()
app.wsgi_app = _ServeLogger(app.wsgi_app)

if "uvicorn" in sys.argv[0]:
    from a2wsgi import WSGIMiddleware

    asgi = WSGIMiddleware(app)
