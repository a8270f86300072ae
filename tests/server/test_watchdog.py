"""A model that hangs is told from a process that was suspended."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.deploy.stage import copy_tree

pytestmark = [pytest.mark.server, pytest.mark.model]

#: Takes the place of the inference: a file says that the batch runs, which then takes 1.5 of the 2 seconds it may.
SLOW = """        import pathlib, time
        if pathlib.Path("{directory}/slow").exists():
            pathlib.Path("{directory}/runs").touch()
            time.sleep(1.5)
        self._request.infer()
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    model = tree / "service/models/openvino.py"
    model.write_text(model.read_text().replace("        self._request.infer()\n", SLOW.format(directory=tmp_path)))
    return tree


def test_a_suspended_service_goes_on_where_it_was(start, tree, tmp_path):
    """As ``docker pause`` does it: the clock goes on, the process does not."""
    service = start(cwd=tree, ini=tree / "uwsgi.ini", batch_timeout=2).wait_until_ready()
    (tmp_path / "slow").touch()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.post, "a text")
        service.wait_for((tmp_path / "runs").exists)
        os.killpg(service.popen.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(service.popen.pid, signal.SIGCONT)

        assert answer.result().status_code == 200
    assert "a batch has been running" not in service.log


#: A batch whose longest text has more than 100 tokens never ends.
HANGS = """        import time
        while max(map(len, batch)) > 100:
            time.sleep(1)
        self._request.infer()
"""


def test_a_text_that_hangs_costs_one_worker_and_is_then_refused(start, tmp_path):
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    model = tree / "service/models/openvino.py"
    model.write_text(model.read_text().replace("        self._request.infer()\n", HANGS))
    service = start(cwd=tree, ini=tree / "uwsgi.ini", batch_timeout=1, max_batch_tokens=50).wait_until_ready()
    first, poison = service.workers(), "word " * 150
    with pytest.raises(requests.ConnectionError):
        service.post(poison)
    service.wait_for(lambda: service.workers() and not service.workers() & first)

    assert service.post(poison).status_code == 500
    assert service.post("another text").status_code == 200
    assert service.log.count("this worker ends and is replaced") == 1
    assert "Thread 0x" in service.log
