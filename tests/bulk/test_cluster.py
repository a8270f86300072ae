"""A run on a Ray cluster of several nodes, all on this machine and on loopback."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from launchers.process import free_port
from service import __main__ as command
from service.bulk import head
from service.bulk.cluster import Cluster
from service.bulk.member import load_beside
from service.errors import BulkFailed
from service.settings import Settings
from tests import test_embedder
from tests.bulk import corpus
from tests.bulk.test_runner import wait_for
from tests.fakes import vector_of
from tests.programs import skip

#: Ray leaves files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

ROOT = Path(__file__).parents[2]

#: Loopback only; nodes import this project from here.
ENVIRON = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "disabled",
    "PYTHONPATH": str(ROOT),
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}

#: The process of a run that loses its head ends.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from service.bulk import watch
from service.bulk.cluster import Cluster
from tests.bulk import corpus
watch.LOST_PROBES = 1
path, out, go = map(Path, sys.argv[1:4])
load = partial(corpus.load_held, go)
done = corpus.embed(path, out, load, settings=corpus.PATIENT, start=partial(Cluster, sys.argv[4]))
sys.exit(0 if done.complete else 130)
"""

#: A node that was killed is noticed after 2 seconds.
CHECKS = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}

NODE = {"num_gpus": 0, "node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}


def insist(start, **arguments):
    """Have Ray start nodes: it gives each 30 seconds, and on a busy machine that may not be enough."""
    for tries_left in (2, 1, 0):
        try:
            return start(**arguments)
        except Exception as error:
            if not tries_left or "timed out during startup" not in str(error):
                raise
    return None


class Nodes:
    """A cluster of a head and further nodes with a core each."""

    def __init__(self, count, head_cores=0):
        from ray.cluster_utils import Cluster

        port = free_port()
        arguments = {
            "num_cpus": head_cores,
            "include_dashboard": False,
            "ray_client_server_port": port,
            "_system_config": CHECKS,
        }
        self._cluster = insist(Cluster, initialize_head=True, head_node_args=NODE | arguments)
        self.address, self.client = self._cluster.address, f"ray://127.0.0.1:{port}"
        self.nodes = []
        for _ in range(count):
            self.add()
        wait_for(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))

    def add(self):
        self.nodes.append(insist(self._cluster.add_node, num_cpus=1, **NODE))

    def kill(self):
        self._cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def stop(self):
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        try:
            head.require()
        except BulkFailed as error:
            skip(str(error))
        nodes = Nodes(2)
        yield nodes
        nodes.stop()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def go(tmp_path):
    return tmp_path / "go"


@pytest.fixture
def path(tmp_path):
    """2000 rows, of which 1000 are computed before ``go`` is there."""
    return corpus.write(tmp_path / "a.jsonl", corpus.held_texts(1000, 1000))


def test_a_cluster_writes_what_one_machine_writes(tmp_path, out, nodes):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(500))
    corpus.embed(path, tmp_path / "local")

    done = corpus.embed(path, out, devices=["auto"], start=partial(Cluster, nodes.address))

    assert corpus.rows(out) == corpus.rows(tmp_path / "local")
    assert json.loads((out / "_manifest.json").read_text()) == json.loads(
        (tmp_path / "local/_manifest.json").read_text()
    )
    assert (done.complete, done.rows) == (True, 500)
    assert [path.name for path in out.glob(".*")] == [".lock"]


def test_a_text_that_ends_processes_is_a_bad_row(tmp_path, out, nodes):
    texts = corpus.texts(120)
    texts[60] = "deadly"
    path = corpus.write(tmp_path / "a.jsonl", texts)

    done = corpus.embed(path, out, corpus.load_slow, devices=["auto"], start=partial(Cluster, nodes.address))

    assert [row["id"] for row in corpus.rows(out) if row["error"]] == ["d60"]
    assert (done.complete, done.rows, done.failed) == (True, 120, 1)


def test_a_node_that_is_killed_loses_no_row(path, out, nodes, go):
    def kill():
        nodes.kill()
        go.touch()

    killer, load = when(out, 10, kill), partial(corpus.load_held, go)

    start = partial(Cluster, nodes.address)
    done = corpus.embed(path, out, load, devices=["auto"], settings=corpus.PATIENT, start=start)

    killer.join()
    nodes.add()
    assert (done.complete, done.rows, done.failed) == (True, 2000, 0)
    assert [row["vector"] for row in corpus.rows(out)] == [vector_of(text) for text in corpus.held_texts(1000, 1000)]


def when(out, parts, act):
    """Start a thread that acts once so many parts are there."""

    def wait():
        wait_for(lambda: len(list(out.glob("part-*"))) >= parts)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.model
def test_the_command_gives_the_vectors_of_the_model(tmp_path, nodes, cache, monkeypatch):
    monkeypatch.setenv("EMBED_CACHE_DIR", str(cache))
    texts = ["Hello, world", "a longer text about boats", "Hello, world", "你好"]
    path = str(corpus.write(tmp_path / "a.jsonl", texts))
    options = ["bulk", path, "--id", "id", "--shard-rows", "1", "--write", "jsonl", "--out"]

    assert command.main([*options, str(tmp_path / "local")]) == 0
    assert command.main([*options, str(tmp_path / "ray"), "--on", f"ray:{nodes.address}"]) == 0

    assert [row["id"] for row in corpus.rows(tmp_path / "ray")] == ["d0", "d1", "d2", "d3"]
    ours, theirs = corpus.vectors(tmp_path / "ray"), corpus.vectors(tmp_path / "local")
    assert np.sum(ours * theirs, axis=1).min() > 0.9999


def test_only_a_process_without_a_place_waits_for_room(tmp_path, out, nodes, monkeypatch, caplog):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(100))

    def disturb():
        try:
            wait_for(lambda: len(list(tmp_path.glob("loads-*"))) == 2)
            nodes.kill()
            wait_for(lambda: "is done again" in caplog.text)
            monkeypatch.setattr("service.bulk.cluster.STRAY_SECONDS", 0.0)
            wait_for(lambda: "waits for room" in caplog.text)
        finally:
            (tmp_path / "go").touch()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    load = partial(corpus.load_when_told, tmp_path)

    done = corpus.embed(path, out, load, devices=["auto"], start=partial(Cluster, nodes.address))

    disturber.join()
    nodes.add()
    assert (done.complete, done.rows) == (True, 100)
    assert len(set(re.findall(r"process \d waits for room", caplog.text))) == 1


def start(path, out, go, address):
    """Start a run in a process of its own, which writes a log beside its output, and wait until there are parts."""
    command = [sys.executable, "-c", PROGRAM, path, out, go, address]
    with (out.parent / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log)
    wait_for(lambda: len(list(out.glob("part-*"))) >= 10)
    return process


def test_a_signal_finishes_the_parts_under_way(path, out, nodes, go):
    process = start(path, out, go, nodes.address)
    process.send_signal(signal.SIGTERM)
    go.touch()

    assert process.wait(300) == 130
    manifest = json.loads((out / "_manifest.json").read_text())
    assert not manifest["complete"]
    assert 0 < manifest["rows"] == len(corpus.rows(out)) < 2000
    assert list(out.glob(".part*")) == []


def test_a_run_without_a_node_waits_for_one(path, out, nodes, go):
    process = start(path, out, go, nodes.address)
    nodes.kill()
    nodes.kill()
    log = out.parent / "log"
    wait_for(lambda: "no node of the cluster has the 1 CPU that a process needs" in log.read_text())

    nodes.add()
    nodes.add()
    go.touch()

    assert process.wait(300) == 0
    assert [line for line in log.read_text().splitlines() if "the run" in line] == [
        "no node of the cluster has the 1 CPU that a process needs; the run waits for one",
        "a node of the cluster can run a process again; the run goes on",
    ]
    assert [row["vector"] for row in corpus.rows(out)] == [vector_of(text) for text in corpus.held_texts(1000, 1000)]


@pytest.mark.parametrize("way", ["address", "client"])
def test_a_run_whose_head_was_lost_goes_on_with_another(path, out, nodes, go, way):
    first = Nodes(0, head_cores=1)
    process = start(path, out, go, getattr(first, way))

    first.stop()

    assert process.wait(300) == 1
    log = (out.parent / "log").read_text()
    assert re.search("the cluster is lost: .*; run the same command to go on\n", log)
    assert list(out.glob(".shared-*")) == []
    there = {part.name: part.stat().st_ino for part in out.glob("part-*")}
    assert 10 <= len(there) < 40
    done = corpus.embed(path, out, devices=["auto"], start=partial(Cluster, nodes.client))
    assert (done.complete, done.rows) == (True, 2000)
    assert there.items() <= {part.name: part.stat().st_ino for part in out.glob("part-*")}.items()


@pytest.mark.model
def test_the_manuals_ray_program_gives_the_vectors(nodes, cache, reference):
    program = test_embedder.example("Ray Data")
    settings = f"""{{"cache_dir": {str(cache)!r}, "dtype": "float32", """  # a node has variables of its own
    program = program.replace("fn_constructor_kwargs={", f"fn_constructor_kwargs={settings}")

    printed = test_embedder.run(program, cache, RAY_ADDRESS=nodes.address)

    assert printed.keys() == {1, 2}
    expected = reference.encode(["Hello, world", "你好,世界"])[:, :4]
    np.testing.assert_allclose([printed[1], printed[2]], expected, atol=1e-5)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_to_which_nobody_listens_is_refused(tmp_path, out, form):
    path = corpus.write(tmp_path / "a.jsonl", ["fine"])
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = form.format(bound.getsockname()[1])
        with pytest.raises(BulkFailed, match=f"--on ray: nobody answers at {address}: Connection refused"):
            corpus.embed(path, out, start=partial(Cluster, address))


def test_a_node_that_does_not_see_the_directory_says_so(tmp_path):
    with pytest.raises(BulkFailed, match=r"the node \S+ does not see .*/elsewhere: --out must be a directory that"):
        load_beside(tmp_path / "elsewhere/.shared-1", corpus.load, Settings(), 1, 1)


def test_of_a_traceback_the_last_line_is_told():
    error = RuntimeError("creation failed\n    import b\n    ^^^^^^^^\nModuleNotFoundError: No module named 'b'\n")

    assert head.tell(error) == "ModuleNotFoundError: No module named 'b'"
