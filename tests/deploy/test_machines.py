"""Several machines behind one nginx: one of them fails, and no client loses an answer.

The machines are network namespaces; the configurations are those of deploy/ as they are, but for shorter timeouts. They
stand in an nginx upstream, or announce themselves to a fastrouter.
"""

import os
import signal
import subprocess

import pytest

from tests.deploy.network import Network
from tests.deploy.stage import DEPLOY, Nginx, activate
from tests.load import Load
from tests.programs import program
from tests.server.processes import BIN, Process, Service

pytestmark = [pytest.mark.deploy, pytest.mark.server, pytest.mark.model]

#: Seconds of uwsgi_read_timeout here, 65 in deploy/nginx. The fastrouter's times shrink with it.
READ_TIMEOUT = 6
SHORTER = {
    "fastrouter-timeout = 62": "fastrouter-timeout = 5",
    "subscription-tolerance = 17": "subscription-tolerance = 3",
}


FASTROUTER = DEPLOY / "fastrouter"


class Router(Process):
    """The fastrouter on the front host, with the directory that holds the public keys."""

    def __init__(self, network, keys, directory):
        command = [BIN / "uwsgi", "--set-placeholder", f"keys={keys}", "--ini", directory / "router.ini"]
        text = (FASTROUTER / "router.ini").read_text()
        for ours, shorter in SHORTER.items():
            assert ours in text
            text = text.replace(ours, shorter)
        (directory / "router.ini").write_text(text)
        super().__init__([*network.prefix(0), *command], directory)


class Host(Service):
    """The service on one machine of the network, behind a socket that is held if there is one."""

    def __init__(self, network, number, directory, held=None, **settings):
        directory = directory / f"host{number}"
        directory.mkdir(exist_ok=True)
        self.prefix, self.held = network.prefix(number), held
        passed = [held.fileno()] if held else []
        super().__init__(directory, socket=f"{network.address(number)}:3031", pass_fds=passed, **settings)

    def wrap(self, command):
        return [*self.prefix, *(activate(self.held, command) if self.held else command)]

    def requests(self):
        return sum(worker["requests"] for worker in self.stats()["workers"])

    def freeze(self):
        os.killpg(self.popen.pid, signal.SIGSTOP)


@pytest.fixture
def network():
    with Network(3) as network:
        yield network


def announcing_with(key):
    # Every second, not every ten: the times are shorter here.
    return ["--set-placeholder", f"key={key}", "--ini", FASTROUTER / "backend.ini", "--subscribe-freq", "1"]


@pytest.fixture(params=["several-machines", "fastrouter"])
def upstream(request):
    return request.param


@pytest.fixture
def options(upstream, network, started, tmp_path):
    """What the service is started with; with the fastrouter, that one runs already."""
    if upstream != "fastrouter":
        return []
    private, public = tmp_path / "machine.pem", tmp_path / "embeddings.pem"
    subprocess.run([program("openssl"), "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    subprocess.run(
        [program("openssl"), "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True
    )
    started.append(Router(network, tmp_path, tmp_path))
    return announcing_with(private)


@pytest.fixture
def host(network, started, options, tmp_path, cache):
    def host(number, **changed):
        started.append(Host(network, number, tmp_path, **{"options": options, "cache_dir": cache} | changed))
        return started[-1]

    return host


@pytest.fixture
def front(upstream, network, started, tmp_path, expected):
    """Start nginx on the front host, and return what asks it."""

    def front(**options):
        shorter = {"uwsgi_read_timeout    65s": f"uwsgi_read_timeout    {READ_TIMEOUT}s"}
        proxy = Nginx(tmp_path, upstream, prefix=network.prefix(0), replaced=shorter)
        started.append(proxy)
        proxy.wait_for((tmp_path / "run-nginx/nginx.pid").exists)
        return Load(8080, expected, namespace=network.path(0), **options)

    return front


@pytest.fixture
def hosts(host):
    hosts = [host(number) for number in (1, 2, 3)]
    return [each.wait_until_ready() for each in hosts]


@pytest.mark.parametrize("upstream", ["several-machines"], indirect=True)
def test_a_killed_service_loses_nothing(hosts, front):
    with front() as answers:
        answers.wait_for(50)
        hosts[0].kill()
        answers.wait_for(100)

    assert not answers.wrong


@pytest.mark.parametrize("upstream", ["fastrouter"], indirect=True)
def test_a_killed_service_behind_the_router_loses_nothing(host, front, network):
    """Its socket is held, as systemd does it."""
    with network.hold(1, 3031) as held:
        killed = host(1, held=held).wait_until_ready()
        host(2).wait_until_ready()
        with front() as answers:
            for _ in range(5):
                answers.wait_for(50)
                killed.kill()
                killed = host(1, held=held).wait_until_ready()
            answers.wait_for(50)

    assert not answers.wrong


@pytest.mark.usefixtures("hosts")
def test_a_machine_that_is_cut_off_loses_nothing(front, network):
    with front() as answers:
        answers.wait_for(50)
        network.cut_off(1)
        answers.wait_for(300)

    assert not answers.wrong


def test_a_frozen_machine_delays_what_it_holds_and_nothing_else(hosts, front):
    with front(clients=9) as answers:
        answers.wait_for(50)
        hosts[0].freeze()
        answers.wait_for(300)

    assert not answers.wrong
    assert 0 < answers.slow(READ_TIMEOUT - 2) < 9


def test_a_machine_that_is_drained_finishes_what_it_has(hosts, front):
    with front() as answers:
        answers.wait_for(50)
        hosts[0].popen.terminate()
        assert hosts[0].exit_code() == 0
        answers.wait_for(50)

    assert not answers.wrong


def test_a_machine_that_is_added_takes_its_share(host, front):
    for number in (1, 2):
        host(number).wait_until_ready()
    with front() as answers:
        answers.wait_for(50)
        third = host(3).wait_until_ready()
        third.wait_for(lambda: third.requests() > 20)

    assert not answers.wrong


@pytest.mark.parametrize("upstream", ["fastrouter"], indirect=True)
def test_a_machine_with_another_key_is_not_let_in(host, front, tmp_path):
    forged = tmp_path / "forged.pem"
    subprocess.run([program("openssl"), "genrsa", "-out", forged, "2048"], check=True, capture_output=True)
    host(1).wait_until_ready()
    stranger = host(2, options=announcing_with(forged))
    stranger.wait_until_ready()
    with front() as answers:
        answers.wait_for(300)

    assert not answers.wrong
    assert stranger.requests() == 0
