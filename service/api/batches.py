"""OpenAI's batches of embeddings: notes what is asked for; ``service/batches`` runs it in another process.

https://platform.openai.com/docs/api-reference/batch
"""

from typing import ClassVar, Literal

import msgspec
from flask import Blueprint, Response

from service.api import contract, faults
from service.api.envelope import STATUS, envelope
from service.api.listing import Page, owner, page, store, writing
from service.api.wire import read, read_query, reply
from service.batches.batch import Batch, BatchObject, Metadata
from service.batches.files import Expiry
from service.batches.records import show
from service.errors import DiskFull, InvalidInput, Missing, Overloaded

routes = Blueprint("batches", __name__)
refuse = faults.register(routes, STATUS, envelope)


class Request(msgspec.Struct):
    """A file of requests to be answered within a day; other members are ignored."""

    HINTS: ClassVar = {
        "endpoint": "; send /v1/embeddings, which is all that batches do here",
        "completion_window": "; send 24h",
    }

    input_file_id: str
    endpoint: Literal["/v1/embeddings"]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: Expiry | None = None


class BatchList(msgspec.Struct):
    """Some batches, and whether there are more."""

    object: Literal["list"]
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


@routes.post("/v1/batches")
@contract.view(body=Request, answer=BatchObject, raises=[*contract.READING, DiskFull, Missing])
def create_batch() -> Response:
    """Have the requests of an uploaded file answered."""
    asked = read(Request)
    file = store().files.find(asked.input_file_id, owner())
    if file.purpose != "batch":
        raise InvalidInput(f"input_file_id: {file.id} holds answers; send a file of requests", "input_file_id")
    with writing() as kept:
        return _reply(kept.batches.create(kept.files, file, asked.metadata, asked.output_expires_after))


@routes.get("/v1/batches")
@contract.view(answer=BatchList, query=Page, raises=[InvalidInput])
def list_batches() -> Response:
    """List your batches, the newest first."""
    batches = store().batches
    return reply(page([batches.show(each) for each in batches.every(owner())], read_query(Page), 20))


@routes.get("/v1/batches/<name>")
@contract.view(answer=BatchObject, path={"name": "batch_1"}, raises=[Missing])
def retrieve_batch(name: str) -> Response:
    """Tell how far a batch is."""
    return _reply(store().batches.find(name, owner()))


@routes.post("/v1/batches/<name>/cancel")
@contract.view(answer=BatchObject, path={"name": "batch_1"}, raises=[DiskFull, InvalidInput, Missing, Overloaded])
def cancel_batch(name: str) -> Response:
    """Stop a batch; what is answered by then is its output."""
    batch = store().batches.find(name, owner())
    with writing() as kept:
        kept.batches.cancel(batch)
    return _reply(batch)


def _reply(batch: Batch) -> Response:
    return reply(show(store().batches.show(batch)))
