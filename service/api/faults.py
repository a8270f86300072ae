"""Why a request gets no result: its status, message and headers, which every dialect puts in a body of its own."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from service import errors
from service.api.exchange import Exchange, current
from service.api.wire import reply


class Fault(NamedTuple):
    """An error as its answer tells of it."""

    error: Exception
    message: str
    status: int
    headers: Mapping[str, str]

    @property
    def field(self) -> str | None:
        """The member of the request to mend."""
        return getattr(self.error, "field", None)


Status = Mapping[type[Exception], int]
Body = Callable[[Fault], Any]

#: Answers an error of the exchange.
Refusal = Callable[[Exchange, Exception], Response]


def register(scope: Flask | Blueprint, status: Status, body: Body) -> Refusal:
    """Answer every error of ``scope`` in one dialect; return what does.

    Args:
        scope: the dialect's blueprint, or the app for errors outside of every blueprint.
        status: the status of each error of the service that a request may meet.
        body: builds the answer.
    """
    refuse = partial(_answer, status, body)
    scope.register_error_handler(Exception, lambda error: refuse(current(), error))
    return refuse


def take_over(view: Callable[[], Response], refuse: Refusal) -> Response:
    """Answer with ``view`` on a route of another dialect, and refuse in its own."""
    try:
        return view()
    except Exception as error:  # noqa: BLE001  # as the handler of a blueprint
        return refuse(current(), error)


def _answer(status: Status, body: Body, exchange: Exchange, error: Exception) -> Response:
    exchange.error = error
    if isinstance(error, errors.RequestError):
        fault = Fault(error, str(error), status[type(error)], _headers(error))
    elif isinstance(error, HTTPException):
        fault = _explain(error)
    else:
        exchange.is_bug = True  # the traceback goes to the log alone
        fault = Fault(error, "the server failed on this request; its log has the reason", 500, {})
    answer = reply(body(fault), fault.status)
    answer.headers.update(fault.headers)
    return answer


def _headers(error: errors.RequestError) -> Mapping[str, str]:
    if isinstance(error, errors.InvalidKey):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.KeyExhausted | errors.Overloaded):
        return {"Retry-After": str(error.retry_after)}
    return {}


def _explain(error: HTTPException) -> Fault:
    """Say what an error of the framework means here, such as a wrong route or method."""
    message, headers = error.description or error.name, {}
    if isinstance(error, NotFound):
        message = f"there is no {request.path}; texts go to POST /v1/embeddings or POST /embed"
        if request.path.startswith(("/v1/files", "/v1/batches")) and "store" not in current_app.extensions:
            message = f"there is no {request.path}: this service keeps files and batches only if EMBED_BATCHES is set"
    elif isinstance(error, MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        message = f"{request.path} does not take {request.method}; use {' or '.join(methods)}"
        headers["Allow"] = ", ".join(methods)
    elif isinstance(error, RequestEntityTooLarge):
        message = f"the body is larger than {request.max_content_length} bytes; send fewer texts at a time"
    return Fault(error, message, error.code or 500, headers)
