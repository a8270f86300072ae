"""Every error in OpenAI's envelope, with the top-level members that Jina and Voyage clients read."""

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from service import errors
from service.api.wire import reply

log = logging.getLogger(__name__)

STATUS = {
    errors.InvalidInput: 400,
    errors.UnknownModel: 404,
    errors.ClientGone: 499,  # nginx's number for it; nobody reads this answer, the log may
    errors.DeadlinePassed: 504,
    errors.ForkedAfterLoad: 503,
    errors.ModelFailed: 500,
    errors.MetricsUnavailable: 501,
}


def register(app: Flask) -> None:
    """Answer every error of ``app``, the framework's included, in the envelope."""
    app.register_error_handler(errors.RequestError, refuse)
    app.register_error_handler(HTTPException, explain)
    app.register_error_handler(Exception, apologise)


def refuse(error: errors.RequestError) -> Response:
    """Answer an error of the service's own."""
    code = "model_not_found" if isinstance(error, errors.UnknownModel) else None
    return envelope(str(error), STATUS[type(error)], error.field, code)


def explain(error: HTTPException) -> Response:
    """Answer an error of the framework: no such route, wrong method, body too large."""
    status = error.code or 500
    message = error.description or error.name
    if isinstance(error, NotFound):
        message = f"there is no {request.path}; texts go to POST /v1/embeddings or POST /embed"
    elif isinstance(error, MethodNotAllowed):
        message = f"{request.path} does not take {request.method}; use {' or '.join(sorted(error.valid_methods or ()))}"
    elif isinstance(error, RequestEntityTooLarge):
        message = f"the body is larger than {request.max_content_length} bytes; send fewer texts at a time"
    answer = envelope(message, status)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


def apologise(error: Exception) -> Response:
    """Answer a bug: its traceback is for the log, not for the client."""
    request_id = request.headers.get("X-Request-Id", "-")
    log.error("%s %s failed, request %s", request.method, request.path, request_id, exc_info=error)
    return envelope("the server failed on this request; its log has the reason", 500)


def envelope(message: str, status: int, field: str | None = None, code: str | None = None) -> Response:
    """Build an error answer; ``field`` becomes ``param``."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    inner = {"message": message, "type": kind, "param": field, "code": code}
    return reply({"error": inner, "message": message, "detail": message}, status)
