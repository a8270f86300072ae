"""A chat that never says anything else: One-API tests a channel by chatting with it, and switches off one that fails.

https://github.com/songquanpeng/one-api/issues/1159
"""

import msgspec
from flask import Blueprint, Response, current_app

from service.api import faults
from service.api.envelope import STATUS, envelope
from service.api.exchange import current
from service.api.wire import engine, read, reply

routes = Blueprint("chat", __name__)
refuse = faults.register(routes, STATUS, envelope)

SAYING = "This service embeds texts and does not chat. Send texts to POST /v1/embeddings."


class Talk(msgspec.Struct):
    """A request for a chat, whose messages are not read."""

    model: str | None = None


@routes.post("/v1/chat/completions")
def complete() -> Response:
    """Say that this service does not chat."""
    body = read(Talk)
    return reply(
        {
            "id": f"chatcmpl-{current().request_id}",
            "object": "chat.completion",
            "created": current_app.config["STARTED"],
            "model": body.model or engine().model.name,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": SAYING}, "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        }
    )
