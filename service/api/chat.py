"""A chat that never says anything else: One-API tests a channel by chatting with it, and switches off one that fails.

https://github.com/songquanpeng/one-api/issues/1159
"""

from typing import Literal

import msgspec
from flask import Blueprint, Response, current_app

from service.api import contract, faults
from service.api.envelope import STATUS, envelope
from service.api.exchange import current
from service.api.wire import engine, read, reply

routes = Blueprint("chat", __name__)
refuse = faults.register(routes, STATUS, envelope)

SAYING = "This service embeds texts and does not chat. Send texts to POST /v1/embeddings."


class Talk(msgspec.Struct):
    """A request for a chat, whose messages are not read."""

    model: str | None = None


class Message(msgspec.Struct):
    """What is said in a chat."""

    role: Literal["assistant"]
    content: str


class Choice(msgspec.Struct):
    """The only thing that is ever said."""

    index: int
    message: Message
    finish_reason: Literal["stop"]


class ChatUsage(msgspec.Struct):
    """No token is read or written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Chat(msgspec.Struct):
    """A chat that says that there is none."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage


@routes.post("/v1/chat/completions")
@contract.view(
    body=Talk,
    answer=Chat,
    examples={"a test": {"messages": [{"role": "user", "content": "hi"}]}},
    raises=contract.READING,
)
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
