"""The document says what the service does."""

from pathlib import Path
from typing import NoReturn

import flask
import jsonschema
import msgspec
import pytest

from service import errors, keys
from service.api import contract, envelope, openapi
from service.api.answers import ModelCard
from service.api.contract import find
from service.api.exchange import FINGERPRINT
from service.api.operations import Alive, Ready
from service.app import create_app
from service.settings import Settings
from tests.fakes import FakeModel

ROOT = Path(__file__).parents[2]

#: What is there for people and programs that read the document.
UNDESCRIBED = {
    *("/openapi.json", "/docs", "/docs/<digest>/<name>"),
    *("/web/<digest>/<path:name>", "/web/map", "/web/state", "/web/models"),
}


@pytest.fixture
def model():
    model = FakeModel()
    model.name = "all-MiniLM-L6-v2"  # which the examples ask for
    return model


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json


@pytest.fixture
def guarded(tmp_path, model):
    keys.create(str(tmp_path / "keys"), "search", None)
    app = create_app(Settings(api_keys_file=str(tmp_path / "keys")), model)
    yield app.test_client().get("/openapi.json").json
    app.extensions["engines"]().close()


def requests(document):
    """Every operation with each of its examples: path, method, body or None, operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            variables = {each["name"]: each["example"] for each in operation["parameters"] if each.get("in") == "path"}
            body = operation.get("requestBody")
            examples = body["content"]["application/json"]["examples"].values() if body else [{"value": None}]
            yield from ((path.format(**variables), method, each["value"], operation) for each in examples)


def check(document, answer, response):
    """Check an answer against the schema that the document has for it."""
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    (schema,) = (each["schema"] for media, each in response["content"].items() if media == answer.mimetype)
    value = answer.json if answer.is_json else answer.text
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(value)


def test_every_route_is_described(app):
    undescribed = {rule.rule for rule in app.url_map.iter_rules() if not find(app, rule.endpoint)}

    assert undescribed == UNDESCRIBED


def test_every_example_is_answered_as_the_document_says(client, document):
    for path, method, body, operation in requests(document):
        answer = client.open(path, method=method.upper(), json=body, buffered=True)  # else it keeps its room

        successes = {status for status in operation["responses"] if status < "300"}
        if successes != {"200"}:
            assert successes <= {str(answer.status_code)} <= set(operation["responses"]), path
        else:
            assert answer.status_code == 200, (path, body)
            check(document, answer, operation["responses"]["200"])


@pytest.fixture
def keeping(tmp_path, model):
    """A client of an app that keeps files and batches."""
    app = create_app(Settings(batches=str(tmp_path / "kept")), model)
    yield app.test_client()
    app.extensions["engines"]().close()


def posts(client):
    """Every operation that may embed, with a body: an empty one if the document has no example."""
    for path, methods in client.get("/openapi.json").json["paths"].items():
        operation = methods.get("post", {})
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in media.get("examples", {"": {"value": {}}}).values() if operation else ():
            yield path.replace("{model}", "all-MiniLM-L6-v2"), example["value"], operation


def test_only_what_embeds_can_be_pinned_to_a_model(keeping):
    for path, body, operation in posts(keeping):
        answer = keeping.post(path, json=body, headers={FINGERPRINT: "0" * 64})
        names = {each["$ref"].rpartition("/")[2] for each in operation["parameters"] if "$ref" in each}

        assert answer.status_code == 409 or names == {"X-Request-ID"}, path
        assert (answer.status_code == 409) == (FINGERPRINT in names) == ("409" in operation["responses"]), path


def test_an_answer_has_the_headers_that_are_described(keeping):
    for path, body, operation in posts(keeping):
        described = operation["responses"].get("200", {}).get("headers", {}).keys()
        answer = keeping.post(path, json=body)

        for name in (FINGERPRINT, "Server-Timing"):
            assert (name in answer.headers) == (name in described), path


def test_every_header_is_one_of_an_operation(client, document):
    text = client.get("/openapi.json").text
    names = [f"{kind}/{name}" for kind in ("parameters", "headers") for name in document["components"][kind]]

    assert [name for name in names if f'"#/components/{name}"' not in text] == []


def read_as(shape, data):
    try:
        return msgspec.to_builtins(msgspec.json.decode(data, type=shape))
    except msgspec.ValidationError:
        return None


def test_an_answer_has_every_member_of_its_shape_and_no_other(client, app, document):
    for path, method, body, _ in requests(document):
        answer = client.open(path, method=method.upper(), json=body, buffered=True)  # else it keeps its room
        endpoint, _ = app.url_map.bind("").match(path, method.upper())
        if answer.is_json and answer.status_code == 200:
            assert answer.json in [read_as(part, answer.data) for part in openapi.parts(find(app, endpoint).answer)]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"input": []}', b'{"input": "' + b"a" * 20_000 + b'"}'])
def test_a_refusal_has_the_shape_that_the_document_says(client, document, body):
    for path in ("/v1/embeddings", "/embed"):
        answer = client.post(path, data=body)

        assert answer.status_code >= 400
        check(document, answer, document["paths"][path]["post"]["responses"][str(answer.status_code)])


def test_every_error_that_a_client_can_receive_is_described(guarded):
    described = set(guarded["components"]["responses"])

    assert set(map(str, envelope.STATUS.values())) - described == {"499"}


def test_ids_of_operations_are_unique(document):
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]

    assert len(set(ids)) == len(ids) > 8


def test_only_a_service_with_keys_asks_for_one(document, guarded):
    def refused(document, path, method):
        return "401" in document["paths"][path][method]["responses"]

    assert "security" not in document
    assert not refused(document, "/embed", "post")
    assert guarded["security"] == [{"bearer": []}, {"api-key": []}]
    assert refused(guarded, "/embed", "post")
    assert guarded["paths"]["/livez"]["get"]["security"] == []
    assert not refused(guarded, "/livez", "get")


def test_the_document_is_made_once_and_sent_once(client, app):
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert app.extensions["openapi"]() is app.extensions["openapi"]()
    assert (again.status_code, again.data) == (304, b"")


def test_the_manual_has_the_same_headers(document):
    manual = (ROOT / "docs/api.md").read_text()
    described = {*document["components"]["parameters"], *document["components"]["headers"]}

    assert {name for name in described if f"`{name}" not in manual} == set()


@pytest.fixture
def two_dialects():
    """The document of an app whose second blueprint has errors of its own; its route /both speaks both dialects."""
    app = flask.Flask("test", static_folder=None)
    app.config["VERSION"] = "1"
    first, second = flask.Blueprint("first", __name__), flask.Blueprint("second", __name__)
    contract.errors(app, {errors.InvalidInput: 400, errors.UnknownModel: 404}, Ready)
    others = contract.errors(second, {errors.InvalidInput: 422, errors.UnknownModel: 404}, ModelCard)
    shapes = {"body": Alive | Ready, "answer": list[float] | ModelCard}

    def add(routes, rule, **told):
        routes.post(rule, endpoint=rule.strip("/<>").replace("/", "_"))(contract.view(**shapes, **told)(lambda: ""))

    add(first, "/first/<float:a>/<b>", raises=[errors.InvalidInput])
    add(first, "/both", others=[others])
    add(second, "/second")
    second.post("/never", endpoint="never")(contract.view(answer=NoReturn, raises=[errors.UnknownModel])(lambda: ""))
    second.get("/nothing", endpoint="nothing")(contract.view(answer=None)(lambda: ""))
    for routes in (first, second):
        app.register_blueprint(routes)
    return openapi.Document(app).build()


def test_each_dialect_has_its_own_errors(two_dialects):
    first, second = (two_dialects["paths"][path]["post"]["responses"] for path in ("/first/{a}/{b}", "/second"))
    described = two_dialects["components"]["responses"]["second-422"]

    assert first["400"] == {"$ref": "#/components/responses/400"}
    assert second["422"] == {"$ref": "#/components/responses/second-422"}
    assert described["description"] == "The request cannot be served as written."
    assert described["content"]["application/json"]["schema"]["$ref"].endswith("/ModelCard")


def test_a_view_of_two_dialects_has_the_errors_of_both(two_dialects):
    responses = two_dialects["paths"]["/both"]["post"]["responses"]
    schemas = {status: responses[status]["content"]["application/json"]["schema"] for status in ("400", "404", "422")}

    assert set(responses) == {"200", "400", "404", "413", "415", "422", "500"}
    assert len(schemas["404"]["anyOf"]) == 2
    assert [schemas[status]["$ref"].rpartition("/")[2] for status in ("400", "422")] == ["Ready", "ModelCard"]


def test_a_view_with_a_body_raises_every_error_of_its_dialect(document):
    statuses = set(document["paths"]["/v1/embeddings"]["post"]["responses"])

    assert statuses == {"200", "413", "415"} | {str(each) for each in envelope.STATUS.values()} - {"401", "499"}


def test_an_answer_without_a_body_is_204(two_dialects):
    assert "content" not in two_dialects["paths"]["/nothing"]["get"]["responses"]["204"]


def test_a_view_may_only_refuse(two_dialects):
    assert set(two_dialects["paths"]["/never"]["post"]["responses"]) == {"404", "500"}


def test_a_body_of_several_shapes_is_any_of_them(two_dialects):
    operation = two_dialects["paths"]["/first/{a}/{b}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]

    assert [each["$ref"].rpartition("/")[2] for each in schema["anyOf"]] == ["Alive", "Ready"]
    assert [each["name"] for each in operation["parameters"] if "name" in each] == ["a", "b"]
