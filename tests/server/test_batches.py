"""Files and batches with the official client and a process that runs them beside uWSGI."""

import base64
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.batches.conftest import request
from tests.deploy.stage import held_text

pytestmark = [pytest.mark.server, pytest.mark.model]

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture
def serve(start_holding, tmp_path):
    """Start a service that keeps files, and return it with a client; start another after it was killed."""

    def serve():
        service = start_holding(batches=tmp_path / "kept").wait_until_ready()
        hurry(service)
        return service, openai.OpenAI(base_url=service.url + "/v1", api_key="none", max_retries=0)

    return serve


def hurry(service):
    """Raise who runs batches above the lowest priority: beside other tests, it would hardly get a core."""
    service.wait_for(lambda: f"[{runner(service)}] batches of" in service.log)
    with suppress(OSError):
        os.sched_setscheduler(runner(service), os.SCHED_OTHER, os.sched_param(0))
        Path(f"/proc/{runner(service)}/autogroup").write_text("0")


def create(client, texts, **members):
    lines = "\n".join(request(f"r{index}", text, model=MODEL, **members) for index, text in enumerate(texts))
    file = client.files.create(file=("requests.jsonl", lines.encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h").id


def wait(service, client, batch, *statuses):
    """Wait until a batch has one of these statuses, and return it."""
    service.wait_for(lambda: client.batches.retrieve(batch).status in statuses)
    return client.batches.retrieve(batch)


def lines(client, file):
    return [json.loads(line) for line in client.files.content(file).text.splitlines()] if file else []


def cosine(first, second):
    first, second = (np.frombuffer(base64.b64decode(each), np.float32) for each in (first, second))
    return first @ second


def runner(service):
    """The process that waits for batches: the child of uWSGI's master that leads a session; 0 if there is none yet."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, parent, _, session, *_ = path.read_text().rpartition(")")[2].split()
            if (parent, session) == (str(service.popen.pid), path.parent.name):
                return int(session)
    return 0


def test_a_batch_has_the_vectors_of_the_service_in_its_order(serve):
    service, client = serve()
    texts = ["Hello, world", "", "a cat " * 400, "你好,世界"]
    batch = create(client, [*texts, 5], encoding_format="base64")
    done = wait(service, client, batch, "completed", "failed")
    output, errors = lines(client, done.output_file_id), lines(client, done.error_file_id)
    expected = client.embeddings.create(model=MODEL, input=texts, encoding_format="base64").data

    assert done.status == "completed"
    assert [line["custom_id"] for line in output] == ["r0", "r1", "r2", "r3"]
    for line, each in zip(output, expected, strict=True):
        assert cosine(line["response"]["body"]["data"][0]["embedding"], each.embedding) > 0.9995
    assert [(line["custom_id"], line["response"]["status_code"]) for line in errors] == [("r4", 400)]
    assert [each.id for each in client.batches.list()] == [batch]
    assert len(list(client.files.list())) == 3


def test_a_batch_goes_on_after_a_restart_and_can_be_cancelled(serve, tmp_path):
    service, client = serve()
    batch = create(client, [*(f"text {index}" for index in range(600)), held_text(150)])
    service.wait_for(lambda: client.batches.retrieve(batch).request_counts.completed >= 256)
    service.kill()
    assert any((tmp_path / "kept").glob("work/*/part-*"))

    (tmp_path / "150").touch()
    again, client = serve()
    second = create(client, [*(f"text {index}" for index in range(600)), held_text(160)])
    wait(again, client, batch, "completed")
    assert len(lines(client, client.batches.retrieve(batch).output_file_id)) == 601
    wait(again, client, second, "in_progress")
    assert client.batches.cancel(second).status in {"cancelling", "cancelled"}
    done = wait(again, client, second, "cancelled", "completed")
    assert done.status == "cancelled"
    assert done.request_counts.total == 601


def test_who_runs_batches_goes_last_and_ends_with_the_master(start, tmp_path):
    """And holds no model while there is nothing to run."""
    service = start(batches=tmp_path / "kept").wait_until_ready()
    service.wait_for(lambda: f"[{runner(service)}] batches of" in service.log)
    process = Path(f"/proc/{runner(service)}")

    assert os.sched_getscheduler(int(process.name)) == os.SCHED_IDLE
    assert not [name for name in ("openvino", "torch") if name in (process / "maps").read_text()]
    os.kill(service.popen.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.exists()
