"""OpenAI's files, and batches as clients see them."""

import io
import os

import jsonschema
import pytest

from service import keys
from service.api import files
from service.app import create_app
from service.settings import Settings
from tests.batches.conftest import fill
from tests.fakes import FakeModel


@pytest.fixture
def start(tmp_path):
    """Start an app with files; ``start(batches_bytes=5)``."""
    apps = []

    def start(**settings):
        apps.append(create_app(Settings(batches=str(tmp_path / "kept"), **settings), FakeModel()))
        return apps[-1].test_client()

    yield start
    for app in apps:
        app.extensions["engines"]().close()


@pytest.fixture
def client(start):
    return start()


def expiring(**members):
    """A form with a file that expires; each is read once."""
    named = {f"expires_after[{name}]": str(value) for name, value in members.items()}
    return {"purpose": "batch", "file": (io.BytesIO(b"a"), "a")} | named


def upload(client, content=b"a\nb", purpose="batch", **options):
    form = {"purpose": purpose, "file": (io.BytesIO(content), "requests.jsonl")}
    return client.post("/v1/files", data=form, **options)


def create(client, **members):
    asked = {"input_file_id": upload(client).json["id"], "endpoint": "/v1/embeddings", "completion_window": "24h"}
    return client.post("/v1/batches", json=asked | members)


def test_a_file_comes_back_as_it_was_sent_and_can_be_deleted(client):
    content = b"\xff\r\n--line\n" * 30_000
    file = upload(client, content).json

    assert (file["bytes"], file["filename"], file["purpose"]) == (len(content), "requests.jsonl", "batch")
    assert client.get(f"/v1/files/{file['id']}").json == file
    assert client.get(f"/v1/files/{file['id']}/content").data == content
    assert client.delete(f"/v1/files/{file['id']}").json == {"id": file["id"], "object": "file", "deleted": True}
    assert client.get(f"/v1/files/{file['id']}/content").status_code == 404


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({"purpose": "assistants", "file": (io.BytesIO(b"a"), "a")}, "purpose: this service keeps files for batches"),
        ({"purpose": "batch"}, "file: send a file, as multipart/form-data"),
        ({}, "purpose: "),
        (expiring(seconds=3599), "expires_after: expected `int` >= 3600; send the anchor created_at"),
        (expiring(anchor="created_at"), "expires_after: object missing required field `seconds`"),
        (expiring(anchor="last_active_at", seconds=3600), "expires_after: invalid enum value 'last_active_at'"),
    ],
)
def test_what_is_no_file_for_a_batch_is_refused_and_not_kept(client, tmp_path, form, complaint):
    answer = client.post("/v1/files", data=form)

    assert (answer.status_code, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert complaint in answer.json["error"]["message"]
    assert list((tmp_path / "kept/files").iterdir()) == []


@pytest.mark.parametrize(("kept", "seconds"), [(5000, 3600), (3000, 3000)])
def test_a_file_expires_when_its_client_says_or_sooner(start, kept, seconds):
    file = start(batches_seconds=kept).post("/v1/files", data=expiring(anchor="created_at", seconds=3600)).json

    assert file["expires_at"] - file["created_at"] == seconds


def test_a_form_that_ends_early_is_refused_and_not_kept(client, tmp_path):
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"a" * 100_000
    answer = client.post("/v1/files", data=body, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 400
    assert list((tmp_path / "kept/files").iterdir()) == []


def test_a_file_has_a_most_of_bytes_and_so_have_all(start, monkeypatch):
    assert "EMBED_BATCHES_BYTES" in upload(start(batches_bytes=100), b"a" * 200).json["error"]["message"]
    monkeypatch.setattr(files, "MAX_FORM_BYTES", 1000)

    assert upload(start(), b"a" * 2000).status_code == 413


def test_a_file_that_has_just_vanished_is_missing(client, tmp_path):
    file = upload(client).json["id"]
    (tmp_path / f"kept/files/{file}.jsonl").unlink()
    asked = {"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"}

    assert client.get(f"/v1/files/{file}/content").json["error"]["message"] == f"there is no '{file}' here"
    assert client.post("/v1/batches", json=asked).status_code == 404
    assert list((tmp_path / "kept/work").iterdir()) == []


def test_a_file_that_is_deleted_while_it_is_read_comes_whole(client):
    content = b"a" * 400_000
    file = upload(client, content).json["id"]
    with client.get(f"/v1/files/{file}/content") as answer:
        client.delete(f"/v1/files/{file}")

        assert answer.data == content


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_file_on_a_full_disk_is_507_and_not_kept(client, tmp_path, size):
    files = client.application.extensions["store"].files
    begun = files.begin()
    os.dup2(os.open("/dev/full", os.O_RDWR), begun.fileno())
    files.begin = lambda: begun
    answer = upload(client, b"a" * size)

    assert (answer.status_code, answer.json["error"]["type"]) == (507, "server_error")
    assert "the disk of the service is full" in answer.json["error"]["message"]
    assert list((tmp_path / "kept/files").iterdir()) == []


def test_a_batch_on_a_full_disk_is_507(client, monkeypatch):
    asked = {"input_file_id": upload(client).json["id"], "endpoint": "/v1/embeddings", "completion_window": "24h"}
    fill(monkeypatch)

    assert client.post("/v1/batches", json=asked).status_code == 507
    assert client.get("/v1/batches").json["data"] == []


def test_an_upload_may_be_larger_than_a_body_and_takes_no_room(start):
    client = start(max_body_bytes=100)
    admission = client.application.extensions["engines"]().admission
    for _ in range(Settings().max_requests()):
        admission.hold(0)

    assert upload(client, b"a" * 200).status_code == 200
    assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 429


def test_more_uploads_than_a_worker_reads_are_told_to_wait(client):
    for _ in range(files.MAX_UPLOADS):
        client.application.extensions["uploads"].acquire()
    answer = upload(client)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")


def test_another_key_finds_nothing(start, tmp_path):
    ours, theirs = (keys.create(str(tmp_path / "keys"), name, None) for name in ("ours", "theirs"))
    client = start(api_keys_file=str(tmp_path / "keys"))
    ours, theirs = ({"headers": {"api-key": key}} for key in (ours, theirs))
    file = upload(client, **ours).json["id"]
    body = {"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"}
    batch = client.post("/v1/batches", json=body, **ours).json["id"]

    assert upload(client).status_code == 401
    for path in (f"/v1/files/{file}", f"/v1/files/{file}/content", f"/v1/batches/{batch}"):
        assert (client.get(path, **ours).status_code, client.get(path, **theirs).status_code) == (200, 404)
    assert client.delete(f"/v1/files/{file}", **theirs).status_code == 404
    assert client.post(f"/v1/batches/{batch}/cancel", **theirs).status_code == 404
    assert client.post("/v1/batches", json=body, **theirs).status_code == 404
    assert client.get("/v1/files", **theirs).json["data"] == client.get("/v1/batches", **theirs).json["data"] == []


def test_lists_come_in_pages(client):
    ids = [upload(client).json["id"] for _ in range(3)][::-1]
    first = client.get("/v1/files?limit=2").json
    rest = client.get(f"/v1/files?limit=2&after={first['last_id']}").json

    assert [each["id"] for each in first["data"] + rest["data"]] == ids
    assert (first["has_more"], rest["has_more"], rest["first_id"]) == (True, False, ids[2])
    assert [each["id"] for each in client.get("/v1/files?order=asc").json["data"]] == ids[::-1]
    assert client.get("/v1/files?purpose=batch_output").json["data"] == []


@pytest.mark.parametrize(("query", "param"), [("limit=0", "limit"), ("order=up", "order"), ("after=file-1", "after")])
def test_a_page_that_cannot_be_is_refused(client, query, param):
    assert client.get(f"/v1/batches?{query}").json["error"]["param"] == param


def test_a_batch_waits_and_can_be_cancelled(client):
    batch = create(client, metadata={"night": "1"}).json
    path = f"/v1/batches/{batch['id']}"

    assert (batch["status"], batch["metadata"]) == ("validating", {"night": "1"})
    assert batch["expires_at"] == batch["created_at"] + 86400
    assert client.get(path).json == batch == client.get("/v1/batches").json["data"][0]
    assert client.post(f"{path}/cancel").json["status"] == client.get(path).json["status"] == "cancelling"


@pytest.mark.parametrize(
    ("members", "status", "complaint"),
    [
        ({"endpoint": "/v1/completions"}, 400, "send /v1/embeddings, which is all that batches do here"),
        ({"completion_window": "1h"}, 400, "send 24h"),
        ({"input_file_id": "file-1"}, 404, "there is no 'file-1' here"),
        ({"metadata": {"a": 1}}, 400, "metadata"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 1}},
            400,
            "output_expires_after.seconds: expected `int` >= 3600",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(client, members, status, complaint):
    answer = create(client, **members)

    assert answer.status_code == status
    assert complaint in answer.json["error"]["message"]


def test_without_a_directory_the_setting_is_named(app):
    answer = app.test_client().get("/v1/batches")

    assert answer.status_code == 404
    assert "only if EMBED_BATCHES is set" in answer.json["error"]["message"]
    assert "/v1/files" not in app.test_client().get("/openapi.json").json["paths"]


def test_answers_are_those_of_the_document(client):
    document = client.get("/openapi.json").json
    create(client)
    components = {"components": document["components"]}
    for path in ("/v1/files", "/v1/batches"):
        operation = document["paths"][path]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator(schema | components).validate(client.get(path).json)
        assert "507" in document["paths"][path]["post"]["responses"]
        assert {"after", "limit", "order"} <= {each.get("name") for each in operation["parameters"]}
    assert set(document["paths"]["/v1/files"]["post"]["requestBody"]["content"]) == {"multipart/form-data"}
