"""Several machines behind one nginx: one of them fails, and no client loses an answer.

The machines are network namespaces, each with its own nginx and a service behind a held socket; the configurations are
those of deploy/ as they are, but for a shorter timeout where a test waits for it.
"""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploy.network import Network, enter
from tests.deploy.stage import ONE_MACHINE, SEVERAL_MACHINES, HeldService, Nginx, hold
from tests.intruder import attack
from tests.load import Load

pytestmark = [pytest.mark.deploy, pytest.mark.server, pytest.mark.model]

#: Seconds of proxy_read_timeout in deploy/nginx, and where a test waits for it: if all machines are held up for less,
#: nothing is lost.
DEPLOYED_SECONDS, READ_SECONDS = 70, 20

#: What a machine behind the front host has.
BEHIND = ONE_MACHINE | {"conf.d/embeddings-behind.conf": "behind-nginx.conf"}


class Host(HeldService):
    """A machine of the network: the service, and nginx in front of it."""

    def __init__(self, network, number, directory, **settings):
        directory = directory / f"host{number}"
        (directory / "run-nginx").mkdir(parents=True)
        self.socket = directory / "run-nginx/embeddings.socket"
        super().__init__(directory, hold(self.socket), **settings)
        self.nginx = Nginx(directory, BEHIND, prefix=network.prefix(number))
        self.nginx.wait_for((directory / "run-nginx/nginx.pid").exists)

    def requests(self):
        return sum(worker["requests"] for worker in self.stats()["workers"])

    def kill(self):
        self.nginx.kill()
        super().kill()
        self.held.close()

    def freeze(self):
        for process in (self.nginx, self):
            os.killpg(process.popen.pid, signal.SIGSTOP)

    def stop_service(self):
        """As ``systemctl stop embeddings.socket embeddings.service``."""
        self.popen.terminate()
        assert self.exit_code() == 0
        self.socket.unlink()
        self.held.close()


@pytest.fixture
def network():
    with Network(3) as network:
        yield network


@pytest.fixture
def host(network, started, tmp_path, cache):
    def host(number):
        started.append(Host(network, number, tmp_path, cache_dir=cache))
        return started[-1]

    return host


@pytest.fixture
def front(network, started, tmp_path, expected):
    """Start nginx on the front host, and return what asks it."""

    def front(seconds=DEPLOYED_SECONDS, **options):
        timeout = {f"proxy_read_timeout    {DEPLOYED_SECONDS}s": f"proxy_read_timeout    {seconds}s"}
        proxy = Nginx(tmp_path, SEVERAL_MACHINES, prefix=network.prefix(0), replaced=timeout)
        started.append(proxy)
        proxy.wait_for((tmp_path / "run-nginx/nginx.pid").exists)
        return Load(8080, expected, namespace=network.path(0), **options)

    return front


@pytest.fixture
def hosts(host):
    hosts = [host(number) for number in (1, 2, 3)]
    return [each.wait_until_ready() for each in hosts]


def test_a_killed_machine_loses_nothing(hosts, front):
    with front() as answers:
        answers.wait_for(50)
        hosts[0].kill()
        answers.wait_for(100)

    assert not answers.wrong


@pytest.mark.usefixtures("hosts")
def test_a_machine_that_is_cut_off_loses_nothing(front, network):
    with front(READ_SECONDS) as answers:
        answers.wait_for(50)
        network.cut_off(1)
        answers.wait_for(300)

    assert not answers.wrong


def test_a_frozen_machine_delays_what_it_holds_and_nothing_else(hosts, front):
    with front(READ_SECONDS, clients=9) as answers:
        answers.wait_for(50)
        hosts[0].freeze()
        answers.wait_for(300)

    assert not answers.wrong
    assert 0 < answers.slow(READ_SECONDS - 2) < 9


def test_a_machine_whose_service_stops_loses_nothing(hosts, front):
    with front() as answers:
        answers.wait_for(50)
        hosts[0].stop_service()
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


def test_a_machine_knows_the_client_of_the_front_host(host, front):
    machine = host(1).wait_until_ready()
    log = machine.nginx.logs / "embeddings.log"
    with front(clients=1) as answers:
        answers.wait_for(1)
    machine.wait_for(log.read_text)

    assert json.loads(log.read_text().splitlines()[0])["client"] == "127.0.0.1"


@pytest.mark.parametrize("reach", [lambda _: "127.0.0.1", lambda network: network.address(1)], ids=["front", "machine"])
def test_no_machine_speaks_the_uwsgi_protocol(host, front, network, tmp_path, reach):
    host(1).wait_until_ready()
    with front(clients=1) as answers:
        answers.wait_for(1)
    with ThreadPoolExecutor(1, initializer=enter, initargs=(network.path(0),)) as inside:
        answers, ran = inside.submit(attack, (reach(network), 8080), tmp_path).result()

    assert not ran
    assert not any(b" 200 " in answer for answer in answers)
