"""Bytes in, bytes out: shared by every view."""

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

import msgspec
import orjson
from flask import Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from service.api import choices, exchange, gate
from service.api.exchange import FINGERPRINT
from service.engine.engine import Engine
from service.engine.engines import Engines, Reranker
from service.engine.model import Embeddings, Input, Model, Side
from service.engine.options import Options
from service.errors import InvalidInput, Malformed, OtherModel, split_complaint

Shape = TypeVar("Shape")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Headers: how long the client waits, and nginx's ``t=${msec}``.
SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
START = re.compile(r"t=([0-9]{1,12}(\.[0-9]{1,6})?)")

#: An older request is one whose clock is wrong.
MAX_AGE_SECONDS = 3600.0

#: From IANA's list. Other values are left alone: some clients send their charset here.
COMPRESSIONS = {"br", "compress", "deflate", "gzip", "x-compress", "x-gzip", "zstd"}


def engines() -> Engines:
    """Return the engines of this process."""
    return cast("Callable[[], Engines]", current_app.extensions["engines"])()


def engine(model: str | None = None) -> Engine:
    """Return the engine that serves ``model``; with one model any name will do, and no name means the first.

    Raises:
        UnknownModel: there are several, and none has this name.
    """
    return engines().find(model)


def reranker(model: str | None = None) -> Reranker | None:
    """Return what scores pairs; None if no model does, or if the request names a model that embeds texts."""
    return engines().find_reranker(model)


def embed(loaded: Engine, inputs: Sequence[Input], options: Options = Options()) -> Embeddings:  # noqa: B008  # immutable
    """Embed until the client of this request goes away or its time is over.

    Raises:
        OtherModel: the request is pinned to another fingerprint.
        RequestError: as ``Engine.embed`` does.
    """
    known = exchange.current()
    _check_pin(loaded.model)
    known.embeds(loaded.model.name, len(inputs))
    is_gone = request.environ["embed.client_is_gone"]
    embeddings = loaded.embed(inputs, options, is_gone, _deadline(loaded.limits.request_timeout), bulk=_is_bulk())
    known.embedded(embeddings)
    known.fingerprint = loaded.model.fingerprint
    gate.charge(embeddings.tokens)
    return embeddings


def read(shape: type[Shape]) -> Shape:
    """Decode the request body as ``shape``, whatever its Content-Type.

    Raises:
        Malformed: the body is not JSON.
        InvalidInput: it does not fit; the error names the member.
        RequestEntityTooLarge: the body is longer than EMBED_MAX_BODY_BYTES.
        UnsupportedMediaType: the body is compressed.
    """
    body = g.pop("body") if "body" in g else _receive()
    try:
        return _decode(body, shape)
    except RecursionError:
        raise Malformed("the body is nested too deeply; send fewer levels of lists and objects") from None


def peek(shape: type[Shape]) -> Shape:
    """Decode the members of ``shape`` and keep the body for ``read``, which complains if it cannot be decoded."""
    g.body = _receive()
    try:
        return msgspec.json.decode(g.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return shape()


def read_query(shape: type[Shape]) -> Shape:
    """Read the query string as ``shape``.

    Raises:
        InvalidInput: it does not fit; the error names the parameter.
    """
    try:
        return msgspec.convert(request.args.to_dict(), shape, strict=False)
    except msgspec.ValidationError as error:
        member, problem = split_complaint(str(error))
        raise InvalidInput(f"{member}: {problem}", member) from None


def find_cut(truncate: choices.Truncate | None = None, side: Side | None = None) -> choices.Cut:
    """Return what becomes of long texts: as ``choices.decide_cut``, with the app's EMBED_TRUNCATE."""
    return choices.decide_cut(current_app.config["TRUNCATE"], truncate, side)


def reply(body: Any, status: int = 200) -> Response:
    """Encode ``body``, which may hold numpy arrays, as JSON.

    orjson prints 32 x 768 float32 in 0.5 ms, where jsonify takes 10 ms and twice the bytes.
    """
    return Response(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), status, mimetype="application/json")


def _check_pin(model: Model) -> None:
    pinned = request.headers.get(FINGERPRINT)
    if pinned and pinned.strip().lower() != model.fingerprint:
        raise OtherModel(
            f"{FINGERPRINT}: {pinned[:64]!r} is asked for, but {model.name} here has {model.fingerprint}; "
            "their vectors must not be mixed: embed the corpus again, or leave the header out"
        )


def _deadline(seconds: float) -> float:
    """Return the ``time.monotonic()`` after which the answer is useless, counted from when the request came."""
    given = request.headers.get("X-Request-Timeout")
    if given is not None:
        if not SECONDS.fullmatch(given) or not float(given):
            raise InvalidInput(f"X-Request-Timeout: {given[:20]!r}: send a number of seconds, such as 2.5")
        seconds = min(seconds, float(given))
    now = time.monotonic()
    return now + seconds - max(_age(), now - exchange.current().started)  # a request may embed several times


def _age() -> float:
    """Return how many seconds ago the proxy got this request, by its ``X-Request-Start: t=SECONDS``; 0 if unknown."""
    started = START.fullmatch(request.headers.get("X-Request-Start", ""))
    age = time.time() - float(started[1]) if started else 0.0
    return age if 0 <= age <= MAX_AGE_SECONDS else 0.0


def _is_bulk() -> bool:
    given = request.headers.get("X-Priority", "normal").lower()
    if given not in {"normal", "bulk"}:
        raise InvalidInput(f"X-Priority: {given[:20]!r}: send bulk for work that may wait, or normal")
    return given == "bulk"


def refuse_compression() -> None:
    """Refuse a body that is compressed.

    Raises:
        UnsupportedMediaType: it is.
    """
    codings = (request.content_encoding or "").lower().replace(",", " ").split()
    for coding in COMPRESSIONS.intersection(codings):
        raise UnsupportedMediaType(f"the body is compressed ({coding}); send it without Content-Encoding: {coding}")


def _receive() -> bytes:
    refuse_compression()
    body = request.get_data(cache=False)
    if not request.content_length and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge  # Werkzeug cuts a chunked body at the limit without an error
    return body.removeprefix(BYTE_ORDER_MARK)


def _decode(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        member, problem = split_complaint(str(error))
        field = member.partition("[")[0] or None
        hint = getattr(shape, "HINTS", {}).get(field, "")
        raise InvalidInput(f"{member or 'the body'}: {problem}{hint}", field) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # bad UTF-8 is the latter: jcrist/msgspec#714
        raise Malformed(_explain_syntax(body, error)) from None


def _explain_syntax(body: bytes, error: Exception) -> str:
    if not body:
        return 'the body is empty; send JSON such as {"input": ["a text"]}'
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        return f"the body looks like {encoding[:6].upper()}; encode the JSON as UTF-8"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8; encode the JSON as UTF-8"
    try:
        json.loads(body, parse_constant=_refuse_constant)
    except ValueError:
        return f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}"
    return "a string holds half of a surrogate pair (\\ud800 to \\udfff), which is no character; send whole ones"


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a JSON number; send null or leave the member out")
