"""A model that hangs is told from a process that was suspended."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

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
