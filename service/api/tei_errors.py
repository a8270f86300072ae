"""Errors as Text Embeddings Inference tells of them.

By its code, not its documents: what cannot be served as written is 422, which was 413 before version 1.9.
"""

from typing import Any, Literal

import msgspec

from service import errors
from service.api.faults import Fault

STATUS = {
    errors.InvalidInput: 422,
    errors.Malformed: 400,
    errors.Empty: 400,
    errors.TooLong: 422,
    errors.BodyLate: 408,
    errors.UnknownModel: 404,
    errors.Missing: 404,
    errors.WrongModel: 424,
    errors.OtherModel: 409,
    errors.InvalidKey: 401,
    errors.KeyExhausted: 429,
    errors.ClientGone: 499,
    errors.DeadlinePassed: 504,
    errors.DiskFull: 507,
    errors.Overloaded: 429,
    errors.ForkedAfterLoad: 503,
    errors.ModelFailed: 424,
}

#: TEI's ``error_type``, where the status does not tell it.
KINDS = {errors.Empty: "Empty", errors.WrongModel: "Backend", errors.ModelFailed: "Backend"}


class Refusal(msgspec.Struct):
    """An error, as TEI tells of it."""

    error: str
    error_type: Literal["Backend", "Empty", "Overloaded", "Unhealthy", "Validation"]
    message: str


def describe_error(fault: Fault) -> dict[str, Any]:
    """Build the body of an error."""
    kind = {429: "Overloaded", 503: "Unhealthy"}.get(fault.status, "Validation" if fault.status < 500 else "Backend")
    kind = KINDS.get(type(fault.error), kind)
    return {"error": fault.message, "error_type": kind, "message": fault.message}
