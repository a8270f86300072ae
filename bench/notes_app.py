"""What people write first: a model at module level, ``encode`` in the view, lists of floats; Flask or FastAPI."""

import os
from typing import Any

from sentence_transformers import SentenceTransformer  # noqa: TID253  # as in the notes

model = SentenceTransformer(os.environ["BENCH_MODEL"])


def answer(texts: list[str]) -> dict[str, Any]:
    """Embed in the request's own thread and build OpenAI's list."""
    vectors = model.encode(texts)
    data = [{"object": "embedding", "embedding": v.astype(float).tolist(), "index": i} for i, v in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "m3e", "usage": {"prompt_tokens": 11, "total_tokens": 11}}


def create_flask() -> Any:
    """Build the app of the notes."""
    from flask import Flask, jsonify, request

    app = Flask(__name__)

    @app.post("/embed")
    def embed() -> Any:
        return jsonify(answer(request.get_json()["input"]))

    return app


def create_fastapi() -> Any:
    """Build its twin: a plain function, which FastAPI runs in a thread pool."""
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.post("/embed")
    def embed(input: list[str] = Body(embed=True)) -> Any:  # noqa: A002, B008, FAST002  # FastAPI's idiom
        return answer(input)

    return app


app = create_flask() if os.environ.get("BENCH_FRAMEWORK") == "flask" else create_fastapi()
