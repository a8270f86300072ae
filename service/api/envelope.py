"""Errors in OpenAI's envelope, with the top-level members that Jina and Voyage clients read."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from service import errors
from service.api import exchange
from service.api.wire import reply

STATUS = {
    errors.InvalidInput: 400,
    errors.BodyLate: 408,
    errors.UnknownModel: 404,
    errors.InvalidKey: 401,
    errors.KeyExhausted: 429,
    errors.ClientGone: 499,  # nginx's number; only the log shows it
    errors.DeadlinePassed: 504,
    errors.Overloaded: 429,
    errors.ForkedAfterLoad: 503,
    errors.ModelFailed: 500,
}

#: OpenAI's ``code`` and ``type``, where they are not the usual ones.
CODES = {
    errors.UnknownModel: "model_not_found",
    errors.InvalidKey: "invalid_api_key",
    errors.KeyExhausted: "rate_limit_exceeded",
    errors.Overloaded: "rate_limit_exceeded",
}
KINDS = {401: "authentication_error", 429: "rate_limit_error"}


def register(app: Flask) -> None:
    """Register the handlers of every error of ``app``, the framework's included."""
    app.register_error_handler(errors.RequestError, refuse)
    app.register_error_handler(HTTPException, explain)
    app.register_error_handler(Exception, apologise)


def refuse(error: errors.RequestError) -> Response:
    """Answer an error of the service."""
    exchange.current().error = error
    answer = envelope(str(error), STATUS[type(error)], error.field, CODES.get(type(error)))
    if isinstance(error, errors.InvalidKey):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.KeyExhausted | errors.Overloaded):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def explain(error: HTTPException) -> Response:
    """Answer an error of the framework, such as a wrong route or method."""
    exchange.current().error = error
    message = error.description or error.name
    headers = {}
    if isinstance(error, NotFound):
        message = f"there is no {request.path}; texts go to POST /v1/embeddings or POST /embed"
    elif isinstance(error, MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        message = f"{request.path} does not take {request.method}; use {' or '.join(methods)}"
        headers["Allow"] = ", ".join(methods)
    elif isinstance(error, RequestEntityTooLarge):
        message = f"the body is larger than {request.max_content_length} bytes; send fewer texts at a time"
    answer = envelope(message, error.code or 500)
    answer.headers.update(headers)
    return answer


def apologise(error: Exception) -> Response:
    """Answer a bug; the traceback goes to the log alone."""
    exchange.current().error = error
    exchange.current().is_bug = True
    return envelope("the server failed on this request; its log has the reason", 500)


def envelope(message: str, status: int, field: str | None = None, code: str | None = None) -> Response:
    """Build an error answer; ``field`` becomes ``param``."""
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    inner = {"message": message, "type": kind, "param": field, "code": code}
    return reply({"error": inner, "message": message, "detail": message}, status)
