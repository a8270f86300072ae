"""A model that hangs is told from a process that was suspended."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.deploy.stage import change_inference, copy_tree, held_text

pytestmark = [pytest.mark.server, pytest.mark.model]

#: How long a batch may take; a slow machine needs less for those that do not hang.
BATCH_SECONDS = 10

#: The batch of a text suspends all processes, its own too: however late the test is, it has used none of its time.
SUSPENDS = """
        import os, signal
        if any(len(each) == 150 for each in batch):
            os.killpg(os.getpgrp(), signal.SIGSTOP)
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tree").mkdir()
    return copy_tree(tmp_path / "tree")


def is_suspended(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_suspended_service_goes_on_where_it_was(start, tree):
    """As ``docker pause`` does it: the clock goes on, the process does not."""
    change_inference(tree, SUSPENDS)
    service = start(cwd=tree, ini=tree / "uwsgi.ini", batch_timeout=BATCH_SECONDS).wait_until_ready()
    (worker,) = service.workers()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.post, held_text(150))
        service.wait_for(lambda: is_suspended(worker))
        time.sleep(BATCH_SECONDS * 1.5)
        os.killpg(service.popen.pid, signal.SIGCONT)

        assert answer.result().status_code == 200
    assert "a batch has been running" not in service.log


#: A batch whose longest text has more than 100 tokens never ends.
HANGS = """
        import time
        while max(map(len, batch)) > 100:
            time.sleep(1)
"""


def test_a_text_that_hangs_costs_one_worker_and_is_then_refused(start, tree):
    change_inference(tree, HANGS)
    settings = {"batch_timeout": BATCH_SECONDS, "max_batch_tokens": 100}
    service = start(cwd=tree, ini=tree / "uwsgi.ini", **settings).wait_until_ready()
    first, poison = service.workers(), "word " * 99
    with pytest.raises(requests.ConnectionError):
        service.post(poison)
    service.wait_for(lambda: service.workers() and not service.workers() & first)

    assert service.post(poison).status_code == 500
    assert service.post("another text").status_code == 200
    assert service.log.count("this worker ends and is replaced") == 1
    assert "Thread 0x" in service.log
