"""Batches from one status to the next, with a model that is easy to compute by hand."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from service.app import create_app
from service.batches import results
from service.batches.files import Expiry
from service.batches.runner import Runner
from service.errors import ModelUnusable, UnknownModel
from service.settings import Settings
from tests.batches.conftest import MAX_BYTES, request
from tests.bulk import corpus
from tests.bulk.test_runner import wait_for
from tests.fakes import vector_of


def prepare(settings, name):
    if name != "fake":
        raise UnknownModel("there is no such model")
    return settings


@pytest.fixture
def run(store):
    """Run what waits, and return how a batch ends: its record, its output and its errors."""

    def run(batch, load=corpus.load, settings=corpus.CPU, prepare=prepare):
        runner = Runner(store, settings, prepare, load)
        while runner.step():
            pass
        return ended(store, batch)

    return run


@pytest.fixture
def route():
    """Ask the route of a service, whose model has prompts, for embeddings."""
    with ExitStack() as apps:

        def ask(settings, body):
            app = create_app(settings, corpus.Choosy())
            apps.callback(app.extensions["engines"]().close)
            return app.test_client().post("/v1/embeddings", json=body)

        yield ask


def ended(store, batch):
    batch = store.batches.find(batch.id)
    files = (batch.output_file_id, batch.error_file_id)
    paths = [name and store.files.content(store.files.find(name, batch.owner)) for name in files]
    return batch, *([json.loads(line) for line in path.read_bytes().splitlines()] if path else None for path in paths)


def test_answers_and_errors_are_divided_in_the_order_of_the_requests(run, create, store):
    texts = [f"text {index}" for index in range(600)]
    texts[7], texts[400] = "poison", 5
    batch, output, errors = run(create(*texts, owner="search"))

    assert (batch.status, batch.model, batch.errors) == ("completed", "fake", None)
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (600, 598, 2)
    assert [line["custom_id"] for line in output] == [f"r{index}" for index in range(600) if index not in {7, 400}]
    assert output[0]["response"]["body"]["data"][0]["embedding"] == vector_of("text 0")
    assert [line["custom_id"] for line in errors] == ["r7", "r400"]
    assert [line["response"]["status_code"] for line in errors] == [500, 400]
    assert errors[1]["response"]["body"]["error"]["message"].startswith("input: expected")
    assert store.batches.live() == [] == list(store.batches.directory_of(batch).parent.iterdir())


CHOICES = [
    {},
    {"input": ["Hello, you", {"text": "b"}, "b"], "user": "u", "unknown": 1},
    {"prompt_name": "query"},
    {"input_type": "search_query", "prompt": "ignored"},
    {"task": "retrieval.passage", "dimensions": 2},
    {"input_type": "classification", "normalized": False},
    {"output_dimension": 3, "encoding_format": "base64", "embed_dtype": "float16"},
    {"output_dtype": "int8"},
    {"embedding_type": "base64", "prompt_name": None},
    {"truncate": "right"},
    {"truncation_direction": "left", "truncate": True, "prompt_name": "query"},
]


@pytest.mark.parametrize("truncate", ["auto", "left"])
def test_a_request_chooses_as_at_the_route(run, create, route, truncate):
    settings = Settings(device="cpu", truncate=truncate)
    bodies = [{"input": "longer than 12", "model": "fake"} | choices for choices in CHOICES]
    lines = [request(f"r{index}", body["input"], **body) for index, body in enumerate(bodies)]
    _, output, errors = run(create(lines=lines), corpus.load_choosy, settings)

    answers = [line["response"]["body"] for line in output]
    assert (answers, errors) == ([route(settings, body).json for body in bodies], None)


REFUSED = [
    {"prompt_name": "nope"},
    {"prompt_name": "other"},
    {"late_chunking": True},
    {"dimensions": 5},
    {"dimensions": "4"},
    {"truncate": False, "input": ["a", "longer than 12"]},
    {"modality": "image"},
    {"input": "poison"},
]


def test_a_request_is_refused_as_at_the_route(run, create, route):
    """And alone."""
    bodies = [{"input": "a", "model": "fake"} | body for body in REFUSED]
    lines = [request(str(index), body["input"], **body) for index, body in enumerate(bodies)]
    _, output, errors = run(create(lines=[*lines, request("good", "a")]), corpus.load_choosy)
    answers = [route(Settings(), body) for body in bodies]

    assert [line["custom_id"] for line in output] == ["good"]
    for line, answer in zip(errors, answers, strict=True):
        assert (line["response"]["status_code"], line["response"]["body"]) == (answer.status_code, answer.json)
        assert line["error"] is None


@pytest.mark.parametrize("ids", [[65, 66], [[65, 66]]])
def test_a_request_with_token_ids_is_refused(run, create, ids):
    _, _, ((line),) = run(create(lines=[request("ids", ids)]))
    error = line["response"]["body"]["error"]

    assert error["message"].endswith("a batch takes texts alone: send token ids to POST /v1/embeddings")
    assert (error["type"], error["param"]) == ("invalid_request_error", "input")


def test_a_file_with_mistakes_fails_its_batch(run, create):
    batch, output, errors = run(create(lines=["no json", request("a", "x", url="/v1/completions")]))

    assert (batch.status, output, errors) == ("failed", None, None)
    assert [(each.code, each.line) for each in batch.errors.data] == [("invalid_json_line", 1), ("url_mismatch", 2)]


def test_a_model_that_is_not_served_fails_its_batch(run, create):
    batch, *_ = run(create(lines=[request("a", "x", model="gpt")]))

    assert [each.code for each in batch.errors.data] == ["model_not_found"]


def test_a_batch_waits_while_its_model_cannot_be_prepared(run, create, store):
    def fail(*_):
        raise ModelUnusable("the disk is full")

    batch = create("a")
    with pytest.raises(ModelUnusable):
        run(batch, prepare=fail)

    assert store.batches.find(batch.id).status == "validating"
    assert run(batch)[0].status == "completed"


@pytest.mark.parametrize(("ending", "code"), [("cancelled", "batch_cancelled"), ("expired", "batch_expired")])
def test_a_batch_that_ends_before_its_turn_answers_nothing(run, create, store, ending, code):
    batch = create("a", "b")
    if ending == "cancelled":
        store.batches.cancel(batch)
    else:
        batch.expires_at = 0
        store.batches.write(batch)
    batch, output, errors = run(batch)

    assert (batch.status, output) == (ending, None)
    assert [line["error"]["code"] for line in errors] == [code, code]


def test_a_batch_that_cannot_be_ended_fails_alone(run, create, store):
    good, cancelled = create("a"), create("b")
    (store.batches.directory_of(cancelled) / f"part-00000-{'0' * 16}.jsonl").write_text("broken\n")
    store.batches.cancel(cancelled)

    assert run(good)[0].status == "completed"
    assert ended(store, cancelled)[0].status == "failed"


def test_a_batch_that_is_cancelled_keeps_what_is_answered(run, create, store, tmp_path):
    batch = create(*corpus.held_texts(600, 400))

    def cancel():
        wait_for(lambda: any(store.batches.directory_of(batch).glob("part-*")))
        store.batches.cancel(batch)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(cancel)
        batch, output, errors = run(batch, partial(corpus.load_held, tmp_path / "never"), corpus.PATIENT)

    assert batch.status == "cancelled"
    assert batch.cancelled_at >= batch.cancelling_at
    assert len(output) + len(errors) == batch.request_counts.total == 1000
    assert len(output) in {256, 512}
    assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}


def test_a_batch_whose_answers_do_not_fit_fails(run, create, store):
    batch = create("a", "b")
    with store.files.begin() as file:
        file.truncate(MAX_BYTES)
    batch, *_ = run(batch)

    (mistake,) = batch.errors.data
    assert (mistake.code, "ask for base64" in mistake.message) == ("server_error", True)


def test_a_batch_that_is_cancelled_needs_no_room(run, create, store):
    batch = create("a", "b")
    with store.files.begin() as file:
        file.truncate(MAX_BYTES)

    def cancel(*arguments):
        if store.batches.find(batch.id).status == "in_progress":
            store.batches.cancel(batch)
        return prepare(*arguments)

    assert run(batch, prepare=cancel)[0].status == "cancelled"


def test_a_model_that_has_changed_begins_the_batch_anew(run, create, store):
    batch = create("a", "b")
    batch.model = "fake"
    batch.enter("in_progress")
    store.batches.write(batch)
    old = {"model": "old", "revision": None, "made_by": {"fingerprint": "0b"}, "inputs": []}
    (store.batches.directory_of(batch) / "_manifest.json").write_text(json.dumps(old))
    batch, output, _ = run(batch)

    assert (batch.status, len(output)) == ("completed", 2)


def test_the_files_of_a_batch_expire_when_its_client_says(run, keep, store):
    store.files._kept_seconds = 9000
    batch, *_ = run(store.batches.create(store.files, keep("a"), None, Expiry("created_at", 3600)))
    file = store.files.find(batch.output_file_id)

    assert file.expires_at - file.created_at == 3600


def test_an_end_that_was_interrupted_makes_the_same_files(run, create, store):
    batch = create("a")
    batch.enter("finalizing")
    store.batches.write(batch)
    results.publish(store.files, store.batches, batch, "completed")
    name = batch.error_file_id
    batch, *_ = run(batch)

    assert (batch.status, batch.error_file_id) == ("completed", name)
    assert len(store.files.every()) == 2
