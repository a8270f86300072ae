"""One app under every way to start it: it answers rightly, from processes that loaded the model after their fork."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from launchers.commands import LAUNCHERS
from service import cpu
from tests.server.processes import Process, free_port

pytestmark = [pytest.mark.server, pytest.mark.model, pytest.mark.launchers]

BY_NAME = {launcher.name: launcher for launcher in LAUNCHERS}

#: Those that fork after they imported the app, where that can be seen in advance.
PREFORK = ["uwsgi -p 2", "uwsgi --master -p 4", "gunicorn -w 4 --preload", "gunicorn in a program"]


class Launched(Process):
    """A server that serves this project, and tells who imports it and who answers."""

    def __init__(self, name, directory, cache, **env):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            BY_NAME[name].words(port), directory, {"LAB_APP": "service", "EMBED_CACHE_DIR": str(cache), **env}
        )

    def told(self, event):
        return {int(pid) for pid in re.findall(rf"LAB {event} (\d+)", self.log)}

    def loaded(self):
        """The processes that have mapped OpenVINO."""
        return {pid for pid in self.pids() if "libopenvino" in maps(pid)}

    def is_up(self):
        try:
            return requests.get(self.url + "/readyz", timeout=300).status_code == 200
        except requests.ConnectionError:
            return False

    def embed(self, text):
        """The vector of a text, on a connection of its own, so that any process may answer."""
        answer = requests.post(self.url + "/embed", json={"input": [text]}, timeout=300)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"][0]["embedding"]


def maps(pid):
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


@pytest.fixture
def launch(tmp_path, cache):
    launched = []

    def launch(name, **env):
        launched.append(Launched(name, tmp_path, cache, **env))
        return launched[-1]

    yield launch
    for process in launched:
        process.kill()


@pytest.mark.parametrize("name", BY_NAME)
def test_every_process_answers_rightly_with_a_model_of_its_own(launch, reference, name):
    server = launch(name)
    server.wait_for(server.is_up)
    texts = [f"text number {i}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(server.embed, texts))

    assert np.sum(np.array(vectors) * reference.encode(texts), axis=1).min() >= 0.9998
    assert server.told("serve") <= server.loaded()


@pytest.mark.parametrize("name", PREFORK)
def test_an_import_before_the_fork_is_told_with_the_fix(launch, name):
    server = launch(name)
    server.wait_for(server.is_up)

    assert len(server.told("import")) == 1
    assert "forks its workers after it imported the app; each will load a model of its own. Let each" in server.log


@pytest.mark.parametrize("name", ["uwsgi --master -p 4", "gunicorn -w 4 --preload", "gunicorn in a program"])
def test_a_process_that_forks_the_workers_loads_no_model(launch, name):
    server = launch(name)
    server.wait_for(server.is_up)

    assert server.told("import") == {server.popen.pid}
    assert server.popen.pid not in server.loaded()


@pytest.mark.parametrize("name", PREFORK)
def test_a_model_that_cannot_be_loaded_ends_the_server(launch, name):
    """After the fork; the log has the reason."""
    server = launch(name, EMBED_MODEL="/nowhere")

    server.exit_code()
    assert "cannot start: EMBED_MODEL=/nowhere: no such directory" in server.log


def test_torch_loaded_before_a_fork_is_refused(launch):
    server = launch("multiprocessing, fork", EMBED_BACKEND="torch")
    server.wait_for(lambda: server.log.count("Serving on") == 2)
    answer = requests.post(server.url + "/embed", json={"input": ["a"]}, timeout=300)

    assert answer.status_code == 503
    assert "forked after the model was loaded" in answer.json()["error"]["message"]


def test_gunicorns_workers_share_the_cores(launch):
    server = launch("gunicorn -w 4")
    server.wait_for(lambda: server.log.count("ready in") == 4)

    assert server.log.count(f"with {cpu.share(4)} threads") == 4


def test_uvicorns_workers_share_the_cores(launch):
    server = launch("uvicorn --workers 4")
    server.wait_for(lambda: server.log.count("ready in") == 4)

    assert server.log.count(f"with {cpu.share(4)} threads") == 4
