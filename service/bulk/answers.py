"""The answers to OpenAI's batch files: a line for each request.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from service.api import outputs
from service.bulk.parts import Results, aside, publish

#: What an error of a line is called, where OpenAI's would be ``batch_expired``.
ERROR_CODE = "invalid_request"


def check(results: Results) -> None:
    """Refuse requests for more dimensions than there are."""
    width = results.vectors.shape[1]
    for row, request in enumerate(results.columns["request"]):
        if (request.get("dimensions") or 0) > width and results.errors[row] is None:
            place = f"row {results.first + row + 1} of the input"
            results.errors[row] = f"{place}: dimensions: the model has {width}"


class AnswersPart:
    """A part of which each line is the answer to a request."""

    def __init__(self, directory: Path, name: str, model: str) -> None:
        self._path = directory / name
        self._model = model
        self._file = aside(self._path).open("wb")

    def write(self, results: Results) -> None:
        """Append answers; ``results`` has a vector for each text, and tells which row it is of."""
        assert results.text_rows is not None
        requests = results.columns["request"]
        starts = np.searchsorted(results.text_rows, np.arange(len(requests) + 1))
        for row, (request, error) in enumerate(zip(requests, results.errors, strict=True)):
            mine = slice(starts[row], starts[row + 1])
            answer = self._answer(results, request, mine) if error is None else None
            line = {
                "id": f"batch_req_{results.first + row}",
                "custom_id": request["custom_id"],
                "response": answer and {"status_code": 200, "request_id": f"{results.first + row}", "body": answer},
                "error": error and {"code": ERROR_CODE, "message": error},
            }
            self._file.write(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        """Bring it to the disk and give it its name."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        publish(self._path)

    def _answer(self, results: Results, request: dict[str, Any], mine: slice) -> dict[str, Any]:
        vectors = results.vectors[mine]
        if (width := request["dimensions"] or vectors.shape[1]) < vectors.shape[1]:
            vectors = vectors[:, :width].copy()
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        tokens = int(results.tokens[mine].sum())
        base64 = request["encoding_format"] == "base64"
        rows = outputs.encode(np.ascontiguousarray(vectors), "float", base64)
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
            "model": request["model"] or self._model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
