"""The answers to OpenAI's batch files: a line for each request.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from service.api import outputs
from service.api.envelope import STATUS, describe
from service.bulk.choices import Asked
from service.bulk.parts import JsonlPart, Results
from service.engine.batcher import FAILED
from service.engine.model import Model
from service.errors import ModelFailed


class AnswersPart(JsonlPart):
    """A part of which each line is the answer to a request."""

    def __init__(self, directory: Path, name: str, model: Model) -> None:
        super().__init__(directory, name)
        self._model = model

    def write(self, results: Results) -> None:
        """Append answers; ``results`` has the model's own vector for each text, and tells which row it is of."""
        assert results.text_rows is not None
        requests, asked = results.columns["request"], results.columns["asked"]
        starts = np.searchsorted(results.text_rows, np.arange(len(requests) + 1))
        for row, (request, error) in enumerate(zip(requests, results.errors, strict=True)):
            number = results.first + row
            line = {"id": f"batch_req_{number}", "custom_id": request["custom_id"]}
            if error is None:
                body = self._answer(results, request, asked[row], slice(starts[row], starts[row + 1]))
                line |= {"response": {"status_code": 200, "request_id": f"{number}", "body": body}, "error": None}
            else:  # the other way round, so that it does not end as those do that have their answer: in ``parts.DONE``
                refusal = asked[row].refusal or ModelFailed(FAILED)
                status = STATUS[type(refusal)]
                body = describe(refusal, str(refusal), status)
                line |= {"error": None, "response": {"status_code": status, "request_id": f"{number}", "body": body}}
            self._file.write(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))

    def _answer(self, results: Results, request: dict[str, Any], asked: Asked, mine: slice) -> dict[str, Any]:
        vectors = asked.options.finish(results.vectors[mine], normalizes=self._model.normalizes)
        rows = outputs.encode(np.ascontiguousarray(vectors), *asked.output)
        tokens, cut = int(results.tokens[mine].sum()), np.flatnonzero(results.truncated[mine]).tolist()
        answer = {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
            "model": request.get("model") or self._model.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return answer | ({"truncated": cut} if cut else {})
