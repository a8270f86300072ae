"""The headers that all dialects share, as OpenAPI describes them."""

from service.api.exchange import FINGERPRINT, HITS, REQUEST_ID

#: Of requests: OpenAPI calls them parameters.
PARAMETERS = {
    "X-Request-Timeout": {
        "description": "Seconds that the client waits; at most EMBED_REQUEST_TIMEOUT.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 999999},
    },
    "X-Priority": {
        "description": "bulk: other requests may overtake this one.",
        "schema": {"type": "string", "enum": ["normal", "bulk"]},
    },
    FINGERPRINT: {
        "description": "Refuse the request, with 409, if the model is another one.",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
    },
    "X-Request-ID": {
        "description": "The id of the request in the answer and in the log; by default a new one.",
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"},
    },
}

#: Of answers.
HEADERS = {
    "X-Request-ID": {"description": "The id of the request in the log.", "schema": {"type": "string"}},
    "Server-Timing": {"description": "Where the time went, in milliseconds.", "schema": {"type": "string"}},
    FINGERPRINT: {"description": "The SHA-256 of the model's files.", "schema": {"type": "string"}},
    HITS: {"description": "How many of the texts were computed before; absent if none.", "schema": {"type": "integer"}},
    "X-Truncated": {"description": "The indices of the texts that were cut.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer", "minimum": 0}},
}
