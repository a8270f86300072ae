"""Errors in OpenAI's envelope, with the top-level members that Cohere, Jina and Voyage clients read."""

from typing import TYPE_CHECKING, Any

from service import errors

if TYPE_CHECKING:  # answers in files need no Flask
    from service.api.faults import Fault

STATUS = {
    errors.InvalidInput: 400,
    errors.Malformed: 400,
    errors.Empty: 400,
    errors.TooLong: 400,
    errors.BodyLate: 408,
    errors.UnknownModel: 404,
    errors.Missing: 404,
    errors.WrongModel: 400,
    errors.OtherModel: 409,
    errors.InvalidKey: 401,
    errors.KeyExhausted: 429,
    errors.ClientGone: 499,  # nginx's number; only the log shows it
    errors.DeadlinePassed: 504,
    errors.DiskFull: 507,
    errors.Overloaded: 429,
    errors.ForkedAfterLoad: 503,
    errors.ModelFailed: 500,
}

#: OpenAI's ``code`` and ``type``, where they are not the usual ones.
CODES = {
    errors.TooLong: "context_length_exceeded",
    errors.UnknownModel: "model_not_found",
    errors.OtherModel: "model_changed",
    errors.InvalidKey: "invalid_api_key",
    errors.KeyExhausted: "rate_limit_exceeded",
    errors.Overloaded: "rate_limit_exceeded",
}
KINDS = {401: "authentication_error", 429: "rate_limit_error"}


def envelope(fault: "Fault") -> dict[str, Any]:
    """Build the body of an error."""
    return describe(fault.error, fault.message, fault.status)


def describe(error: Exception, message: str, status: int) -> dict[str, Any]:
    """Build the body of an error with this message and status; the member to mend becomes ``param``."""
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    inner = {"message": message, "type": kind, "param": getattr(error, "field", None), "code": CODES.get(type(error))}
    return {"error": inner, "message": message, "detail": message}


def complain(fault: "Fault") -> dict[str, Any]:
    """Build the body of an error as Ollama and Weaviate do: a sentence."""
    return {"error": fault.message}
