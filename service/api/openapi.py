"""``GET /openapi.json``: the routes as OpenAPI 3.1, from the shapes that requests are read with."""

import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from types import UnionType
from typing import Any, NamedTuple, NoReturn, get_args

import msgspec
import orjson
from flask import Blueprint, Flask, Response, current_app, request

from service.api import gate
from service.api.contract import Contract, Errors, find, find_errors
from service.api.exchange import FINGERPRINT, HITS
from service.api.headers import HEADERS, PARAMETERS
from service.errors import ClientGone, InvalidKey, KeyExhausted, OtherModel

routes = Blueprint("openapi", __name__)

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
VARIABLE = re.compile(r"<(?:[^:<>]+:)?(\w+)>")

#: What the framework refuses of a body; no dialect's table has it.
OF_FRAMEWORK = {413: "The body is longer than EMBED_MAX_BODY_BYTES.", 415: "The body is compressed."}

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as Authorization: Bearer KEY"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "An API key"},
}


class Operation(NamedTuple):
    """A described view, under one of its rules and methods."""

    path: str
    method: str
    variables: list[str]
    blueprint: str
    dialect: str
    errors: Errors
    contract: Contract
    doc: str
    is_open: bool


@routes.get("/openapi.json")
def document() -> Response:
    """Return this description of the routes."""
    answer = Response(current_app.extensions["openapi"](), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def register(app: Flask) -> None:
    """Serve the document of ``app``, which is made when it is first asked for."""
    app.extensions["openapi"] = cache(lambda: orjson.dumps(Document(app).build()))
    app.register_blueprint(routes)


class Document:
    """The OpenAPI document of an app."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._needs_key = "gate" in app.extensions
        self._operations = list(_operations(app))
        shapes: dict[Any, None] = {}  # in their order, each once
        for each in self._operations:
            refusals = (errors.body for errors in (each.errors, *each.contract.others))
            for shape in (each.contract.body, each.contract.answer, *refusals):
                shapes |= dict.fromkeys(parts(shape))
        schemas, self._components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
        self._schemas = dict(zip(shapes, schemas, strict=True))

    def build(self) -> dict[str, Any]:
        """Return the document as plain dicts and lists."""
        paths: dict[str, dict[str, Any]] = {}
        refusals: dict[str, Any] = {}
        for each in self._operations:
            paths.setdefault(each.path, {})[each.method.lower()] = self._operation(each)
            if not each.contract.others:
                refusals |= {_name(each, status): self._refusal(each, status) for status in self._statuses(each)}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Text embeddings", "version": self._app.config["VERSION"]},
            **({"security": [{name: []} for name in SCHEMES]} if self._needs_key else {}),
            "tags": [self._tag(name) for name in dict.fromkeys(each.blueprint for each in self._operations)],
            "paths": paths,
            "components": {
                "schemas": self._components,
                "responses": refusals,
                "parameters": {name: {"name": name, "in": "header"} | rest for name, rest in PARAMETERS.items()},
                "headers": HEADERS,
                **({"securitySchemes": SCHEMES} if self._needs_key else {}),
            },
        }

    def _operation(self, each: Operation) -> dict[str, Any]:
        contract = each.contract
        parameters: list[dict[str, Any]] = [_variable(name, contract) for name in each.variables]
        parameters += _parameters(contract.query)
        embeds = OtherModel in self._raised(each)
        parameters += [_ref("parameters", name) for name in PARAMETERS if embeds or name == "X-Request-ID"]
        summary, _, rest = each.doc.partition("\n\n")
        return {
            "summary": _plain(summary).rstrip(".").replace("`", ""),  # which is no Markdown
            **({"description": _plain(rest)} if rest else {}),
            "operationId": re.sub(r"\W+", "_", f"{each.method.lower()}{each.path}").strip("_"),
            "tags": [each.blueprint],
            **({"security": []} if self._needs_key and each.is_open else {}),
            "parameters": parameters,
            **({"requestBody": self._body(contract)} if contract.body else {}),
            "responses": self._answer(contract, embeds=embeds) | self._refused(each),
        }

    def _body(self, contract: Contract) -> dict[str, Any]:
        examples = {name: {"value": value} for name, value in contract.examples.items()}
        media = {"schema": self._schema(contract.body)} | ({"examples": examples} if examples else {})
        return {"required": True, "content": {contract.takes: media}}

    def _answer(self, contract: Contract, *, embeds: bool) -> dict[str, Any]:
        headers = ["X-Request-ID", *(["Server-Timing", FINGERPRINT, HITS, "X-Truncated"] if embeds else [])]
        answer = {"description": "The answer.", "headers": {name: _ref("headers", name) for name in headers}}
        if contract.answer is None:
            return {"204": answer}
        if contract.answer is NoReturn:
            return {}
        return {"200": answer | {"content": {contract.media: {"schema": self._schema(contract.answer)}}}}

    def _statuses(self, each: Operation) -> list[int]:
        """Return what an operation may be refused with."""
        tables = (each.errors, *each.contract.others)
        raised = self._raised(each)
        statuses = {table.status[error] for table in tables for error in raised if error in table.status}
        return sorted({500, *statuses, *(OF_FRAMEWORK if each.contract.body else ())})

    def _raised(self, each: Operation) -> frozenset[type[Exception]]:
        """Return the errors of an operation; one that embeds may meet another model than it is pinned to."""
        of_keys = {InvalidKey, KeyExhausted}
        raised: frozenset[type[Exception]] | None = each.contract.raises
        if raised is None:
            raised = frozenset().union(*(table.status for table in (each.errors, *each.contract.others))) - of_keys
            raised -= {ClientGone}  # nobody reads that answer
        return raised | of_keys if self._needs_key and not each.is_open else raised

    def _refused(self, each: Operation) -> dict[str, Any]:
        """Return the refusals of an operation, by their status; the operations of a dialect share them."""
        is_shared = not each.contract.others
        return {
            str(status): _ref("responses", _name(each, status)) if is_shared else self._refusal(each, status)
            for status in self._statuses(each)
        }

    def _refusal(self, each: Operation, status: int) -> dict[str, Any]:
        tables = (each.errors, *each.contract.others)
        able = [table for table in tables if status in table.status.values()] or tables  # else the framework refuses
        schemas = [self._schema(table.body) for table in able]
        headers = ["X-Request-ID", *(["Retry-After"] if status == 429 else [])]
        return {
            "description": _meaning(able, status),
            "headers": {header: _ref("headers", header) for header in headers},
            "content": {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}},
        }

    def _schema(self, shape: Any) -> dict[str, Any]:
        schemas = [self._schemas[part] for part in parts(shape)]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def _tag(self, name: str) -> dict[str, str]:
        doc = sys.modules[self._app.blueprints[name].import_name].__doc__ or ""
        return {"name": name, "description": _plain(doc.partition("\n")[0])}


def parts(shape: Any) -> tuple[Any, ...]:
    """Return the members of a union: msgspec takes no union of two structs, OpenAPI does."""
    if shape in {None, NoReturn}:
        return ()
    return get_args(shape) if isinstance(shape, UnionType) else (shape,)


def _operations(app: Flask) -> Iterable[Operation]:
    for rule in app.url_map.iter_rules():
        contract = find(app, rule.endpoint)
        if contract is None:
            continue
        blueprint = rule.endpoint.rpartition(".")[0]
        dialect, errors = find_errors(app, blueprint)
        for method in sorted(METHODS.intersection(rule.methods or ())):
            yield Operation(
                path=VARIABLE.sub(r"{\1}", rule.rule),
                method=method,
                variables=VARIABLE.findall(rule.rule),
                blueprint=blueprint,
                dialect=dialect,
                errors=errors,
                contract=contract,
                doc=app.view_functions[rule.endpoint].__doc__ or "",
                is_open=rule.rule in gate.OPEN_ROUTES and method != "POST",
            )


def _meaning(tables: Sequence[Errors], status: int) -> str:
    """Return what a status means: a sentence for each of its errors."""
    docs = [error.__doc__ or "" for each in tables for error, its in each.status.items() if its == status]
    sentences = [re.split(r"[;.]", _plain(doc))[0] + "." for doc in docs]  # what follows is for Python
    return " ".join(dict.fromkeys(sentences)) or OF_FRAMEWORK.get(status, "The service failed.")


def _plain(doc: str | None) -> str:
    """Return a docstring in one line, with the code in it as Markdown has it."""
    return " ".join((doc or "").split()).replace("``", "`")


def _variable(name: str, contract: Contract) -> dict[str, Any]:
    example = {"example": contract.path[name]} if name in contract.path else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} | example


def _parameters(query: Any) -> list[dict[str, Any]]:
    """Return the parameters of a query string, which its struct names."""
    fields = msgspec.structs.fields(query) if query else ()
    return [{"name": each.name, "in": "query", "schema": msgspec.json.schema(each.type)} for each in fields]


def _name(each: Operation, status: int) -> str:
    """Return the name of a refusal, which the operations of a dialect share."""
    return f"{each.dialect}-{status}" if each.dialect else str(status)


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
