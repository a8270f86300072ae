"""The usual first version: a model at module level, ``encode`` in the view, lists of floats; Flask or FastAPI."""

import os
from typing import Any

from sentence_transformers import SentenceTransformer  # noqa: TID253  # as in the notes

model = SentenceTransformer(os.environ["BENCH_MODEL"])


def _answer(texts: list[str]) -> dict[str, Any]:
    vectors = model.encode(texts)
    data = [{"object": "embedding", "embedding": v.astype(float).tolist(), "index": i} for i, v in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "m3e", "usage": {"prompt_tokens": 11, "total_tokens": 11}}


def _create_flask() -> Any:
    from flask import Flask, jsonify, request

    app = Flask(__name__)

    @app.post("/embed")
    def embed() -> Any:
        return jsonify(_answer(request.get_json()["input"]))

    return app


def _create_fastapi() -> Any:
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.post("/embed")
    # FastAPI runs a plain function in a thread pool.
    def embed(input: list[str] = Body(embed=True)) -> Any:  # noqa: A002, B008, FAST002  # FastAPI's idiom
        return _answer(input)

    return app


app = _create_flask() if os.environ.get("BENCH_FRAMEWORK") == "flask" else _create_fastapi()
