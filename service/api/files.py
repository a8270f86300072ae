"""OpenAI's files, for batches: uploads go to the disk as they come, and to no model.

https://platform.openai.com/docs/api-reference/files
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Annotated, Any, Literal, cast

import msgspec
from flask import Blueprint, Response, current_app, request
from msgspec import Meta
from werkzeug.formparser import FormDataParser

from service.api import contract
from service.api.listing import Page, owner, page, store, writing
from service.api.wire import read_query, refuse_compression, reply
from service.batches.files import Expiry, File, FileObject, Files
from service.batches.records import show
from service.errors import BodyLate, DiskFull, InvalidInput, Malformed, Missing, Overloaded, split_complaint

routes = Blueprint("files", __name__)
routes.record(lambda state: state.app.extensions.update(uploads=threading.BoundedSemaphore(MAX_UPLOADS)))

#: OpenAI's limit of a file for batches, and what a form has around it.
MAX_FORM_BYTES = 201 * 2**20
MAX_MEMBER_BYTES = 2**19
MAX_MEMBERS = 20

MAX_NAME_CHARACTERS = 200
READ_BYTES = 2**18

#: Uploads that a worker reads at a time: each takes a thread, and its share of Python's lock.
MAX_UPLOADS = 4
RETRY_SECONDS = 5


class Upload(msgspec.Struct):
    """A file, what it is for, and when it expires; other members are ignored."""

    file: Annotated[str, Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]
    purpose: Literal["batch"]
    anchor: str | None = msgspec.field(name="expires_after[anchor]", default=None)
    seconds: int | None = msgspec.field(name="expires_after[seconds]", default=None)


class FilePage(Page):
    """Which files."""

    purpose: str | None = None


class FileList(msgspec.Struct):
    """Some files, and whether there are more."""

    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(msgspec.Struct):
    """A file was deleted."""

    id: str
    object: Literal["file"]
    deleted: bool


@routes.post("/v1/files")
@contract.view(
    body=Upload,
    answer=FileObject,
    takes="multipart/form-data",
    raises=[InvalidInput, Malformed, BodyLate, DiskFull, Overloaded],
)
def create_file() -> Response:
    """Keep a file of requests for a batch; it has at most 200 MiB."""
    with _room(), writing() as kept:
        return reply(show(_receive(kept.files)))


@routes.get("/v1/files")
@contract.view(answer=FileList, query=FilePage, raises=[InvalidInput])
def list_files() -> Response:
    """List your files, the newest first."""
    asked = read_query(FilePage)
    found = [file for file in store().files.every(owner()) if asked.purpose in {None, file.purpose}]
    return reply(page(found, asked, 10_000))


@routes.get("/v1/files/<name>")
@contract.view(answer=FileObject, path={"name": "file-1"}, raises=[Missing])
def retrieve_file(name: str) -> Response:
    """Describe a file."""
    return reply(show(store().files.find(name, owner())))


@routes.get("/v1/files/<name>/content")
@contract.view(answer=str, path={"name": "file-1"}, raises=[Missing], media="application/octet-stream")
def retrieve_content(name: str) -> Response:
    """Return the bytes of a file."""
    files = store().files
    file = files.find(name, owner())
    content = files.open(file)
    answer = Response(_read(content), mimetype="application/octet-stream")
    answer.call_on_close(content.close)  # a client may leave before the first byte
    answer.content_length = file.bytes
    answer.implicit_sequence_conversion = False  # or it would be read into memory to be measured
    return answer


@routes.delete("/v1/files/<name>")
@contract.view(answer=FileDeleted, path={"name": "file-1"}, raises=[Missing])
def delete_file(name: str) -> Response:
    """Delete a file; a batch that was made of it goes on."""
    files = store().files
    files.delete(files.find(name, owner()))
    return reply({"id": name, "object": "file", "deleted": True})


@contextmanager
def _room() -> Iterator[None]:
    uploads = cast("threading.BoundedSemaphore", current_app.extensions["uploads"])
    if not uploads.acquire(blocking=False):
        raise Overloaded("as many files as a worker reads at a time come already; try again", RETRY_SECONDS)
    try:
        yield
    finally:
        uploads.release()


def _receive(files: Files) -> File:
    """Write an upload aside, and keep it if it is whole."""
    refuse_compression()
    request.max_content_length = MAX_FORM_BYTES
    files.check_room(request.content_length or 0)
    begun: list[IO[bytes]] = []

    def begin(*_: Any, **__: Any) -> IO[bytes]:
        begun.append(files.begin())
        return begun[-1]

    parser = FormDataParser(begin, MAX_MEMBER_BYTES, silent=False, max_form_parts=MAX_MEMBERS)
    form = request.stream, request.mimetype, request.content_length, request.mimetype_params
    try:
        _, members, uploaded = parser.parse(*form)
        if members.get("purpose") != "batch":
            raise InvalidInput("purpose: this service keeps files for batches only; send batch", "purpose")
        if "file" not in uploaded:
            raise InvalidInput("file: send a file, as multipart/form-data", "file")
        file = uploaded["file"]
        name = (file.filename or "")[:MAX_NAME_CHARACTERS]
        return files.keep(file.stream, name, "batch", owner(), expiry=_read_expiry(members))
    except ValueError as error:
        raise Malformed(f"the form cannot be read: {error}") from None
    finally:
        for each in begun:
            files.drop(each)


def _read_expiry(members: Mapping[str, str]) -> Expiry | None:
    found = {
        name: members[f"expires_after[{name}]"]
        for name in Expiry.__struct_fields__
        if f"expires_after[{name}]" in members
    }
    try:
        return msgspec.convert(found, Expiry, strict=False) if found else None
    except msgspec.ValidationError as error:
        _, problem = split_complaint(str(error))
        raise InvalidInput(
            f"expires_after: {problem}; send the anchor created_at, and 3600 to 2592000 seconds", "expires_after"
        ) from None


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while data := file.read(READ_BYTES):
            yield data
