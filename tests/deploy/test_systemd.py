"""deploy/install on a Debian 12 whose systemd runs as process 1: `make test-systemd`.

One machine for all tests, in the order in which an operator would do things; each leaves the service running.
"""

import json
import re
import shutil
import subprocess
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.deploy import machine as machines
from tests.deploy.network import FRONT, Network
from tests.deploy.stage import DEPLOY
from tests.load import Load
from tests.programs import program
from tests.server.processes import ROOT

pytestmark = [pytest.mark.systemd, pytest.mark.server, pytest.mark.model]

ENV = "/etc/embeddings/embeddings.env"

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NEXT = "9.9.9"

#: For a release that runs for seconds: pip leaves the bytecode of 14,000 files out, and the compiler does not optimise.
HASTY = "PIP_COMPILE=0 CFLAGS=-O0"

#: Between the requests of a client while packages are installed: 24 requests a second leave that most of the CPU.
PAUSE_SECONDS = 0.25

#: Hang up on an upgrade whose service does not become ready.
INTERRUPT = """
/opt/embeddings/releases/9.9.9-*/deploy/install & installer=$!
timeout 300 sh -c 'until systemctl show -P SubState embeddings.service | grep -q start-pre; do sleep 0.1; done'
kill -HUP $installer
wait $installer
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The tree that is installed, so that a test can change it: what git has, and nothing that was built."""
    directory = tmp_path_factory.mktemp("sources")
    parts = ["service", "deploy", "docs", "scripts", "wsgi.py", "uwsgi.ini", "Makefile", "pyproject.toml"]
    for name in [*parts, "constraints.txt", "README.md", "CHANGELOG.md", "LICENSE"]:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def machine(disk, debian, sources):
    program("systemd-nspawn")  # before a Debian is made for nothing
    with Network(0) as network:
        root = machines.install_debian(debian, disk / "machine")
        machines.fetch_wheels(root)
        machine = machines.Machine(root, network.path(0), {"/src": sources})
        machine.namespace = network.path(0)
        yield machine
        machine.stop()


@pytest.fixture(scope="module")
def installed(machine):
    """The machine once the service is installed."""
    machine.run(
        "systemctl set-environment EMBED_CACHE_ITEMS=0"
    )  # the model is to answer, and no faster than nginx allows
    machine.said = machine.run("/src/deploy/install")
    return machine


@pytest.fixture
def load(installed, expected):
    return lambda **options: Load(8080, expected, namespace=installed.namespace, **options)


@contextmanager
def setting(machine, line):
    """Change a setting for a while; the service is not restarted."""
    before = machine.run(f"cat {ENV}")
    machine.run(f"echo {line} >> {ENV}")
    try:
        yield
    finally:
        machine.run(f"cat > {ENV}", stdin=before)


@contextmanager
def change(path, old, new):
    """Change a file of the tree for a while."""
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(machine):
    said = machine.run("/src/deploy/install --dry-run")

    assert "would write /etc/systemd/system/embeddings.service" in said
    assert "would run systemctl restart embeddings.service" in said
    assert machine.run("ls /opt /etc/nginx/sites-enabled /etc/systemd/system | grep embed", check=False) == ""


def test_an_install_answers_the_first_request(installed, load):
    """It says what it did."""
    with load(clients=1) as answers:
        answers.wait_for(1)

    assert not answers.wrong
    assert "write /etc/embeddings/embeddings.env" in installed.said
    assert re.search(r"embeddings.service runs \S+-\w+\n$", installed.said)


def test_installing_the_same_again_changes_nothing(installed):
    before = installed.show("MainPID"), installed.run("readlink /opt/embeddings/current")
    said = installed.run("/src/deploy/install")

    assert (installed.show("MainPID"), installed.run("readlink /opt/embeddings/current")) == before
    assert "write" not in said
    assert "make" not in said


def test_start_returns_when_a_vector_can_be_had(installed, load):
    installed.run("systemctl restart embeddings.service")
    workers = installed.workers()

    assert installed.show("StatusText") == "answering requests"
    assert len(workers) == 1
    with load(clients=1) as answers:
        answers.wait_for(1)
    assert not answers.wrong
    assert installed.workers() == workers


def test_a_reload_replaces_the_worker_and_loses_nothing(installed, load):
    master, before = installed.show("MainPID"), installed.workers()
    with load() as answers:
        for _ in range(3):
            answers.wait_for(20)
            installed.run("systemctl reload embeddings.service")
        after = installed.workers()
        answers.wait_for(20)

    assert not answers.wrong
    assert installed.show("MainPID") == master
    assert not before & after


def test_a_restart_loses_nothing(installed, load):
    with load() as answers:
        for _ in range(3):
            answers.wait_for(20)
            installed.run("systemctl restart embeddings.service")
        answers.wait_for(20)

    assert not answers.wrong


def test_a_killed_worker_and_a_killed_master_lose_nothing(installed, load):
    restarts = int(installed.show("NRestarts"))
    with load() as answers:
        answers.wait_for(20)
        for worker in (before := installed.workers()):
            installed.run(f"kill -KILL {worker}")
        installed.wait_for(lambda: installed.workers() - before)
        answers.wait_for(20)
        assert int(installed.show("NRestarts")) == restarts
        installed.run(f"kill -KILL {installed.show('MainPID')}")
        installed.wait_for(lambda: installed.show("ActiveState") == "active" and installed.workers())
        answers.wait_for(20)

    assert not answers.wrong
    assert int(installed.show("NRestarts")) == restarts + 1


def test_a_stop_finishes_the_requests_in_flight(installed):
    heavy = json.dumps({"input": [f"{i} " * 200 for i in range(100)]})
    ask = "curl --silent --data @- --output /dev/null --write-out %{http_code} http://127.0.0.1:8080/embed"
    with ThreadPoolExecutor(4) as pool:
        answers = []

        def are_in_flight():
            """Send them; again if this process was held up until they were answered."""
            if all(answer.done() for answer in answers):
                answers[:] = [pool.submit(installed.run, ask, stdin=heavy) for _ in range(4)]
            return "in_flight 4" in installed.run("curl -s http://127.0.0.1:8080/metrics")

        installed.wait_for(are_in_flight)
        installed.run("systemctl stop embeddings.socket embeddings.service")

        assert [answer.result() for answer in answers] == ["200"] * 4
    assert installed.show("Result") == "success"
    assert "502" in installed.run("curl --include --silent http://127.0.0.1:8080/v1/models")
    installed.run("systemctl start embeddings.socket")


def test_a_request_starts_a_stopped_service(installed, load):
    installed.run("systemctl stop embeddings.service", check=False)
    assert installed.show("ActiveState") == "inactive"
    with load() as answers:
        answers.wait_for(20)

    assert not answers.wrong
    assert installed.show("ActiveState") == "active"


def test_a_stop_while_the_model_loads_is_heard(installed):
    """Else it takes ``TimeoutStopSec``, 70 seconds."""
    since = installed.run("date +%s.%6N").strip()
    spawned = f"journalctl --unit embeddings --since @{since} --grep 'spawned uWSGI master'"
    installed.run("systemctl restart --no-block embeddings.service")
    installed.wait_for(lambda: installed.succeeds(spawned))  # before, uWSGI ignores signals
    started = time.monotonic()
    installed.run("systemctl stop embeddings.service")

    assert time.monotonic() - started < 45
    installed.run("systemctl start embeddings.service")


def test_requests_wait_for_a_setting_that_can_be_used(installed, load):
    """One that cannot is an error in the journal."""
    with load() as answers:
        answers.wait_for(20)
        with setting(installed, "EMBED_MODEL=/nowhere"):
            assert not installed.succeeds("systemctl restart embeddings.service")
        installed.run("systemctl restart embeddings.service")
        answers.wait_for(20)
    errors = installed.run("journalctl --unit embeddings --priority err --output cat")

    assert not answers.wrong
    assert "the service cannot start: EMBED_MODEL=/nowhere: no such directory" in errors
    assert "384 dimensions" not in errors


def test_information_is_no_warning_in_the_journal(installed):
    """Priorities are not shown."""
    everything = installed.run("journalctl --unit embeddings --output cat")

    assert "all-MiniLM-L6-v2: 384 dimensions" in everything
    assert not re.search("^<[0-9]>|^INFO", everything, re.MULTILINE)
    assert "384 dimensions" not in installed.run("journalctl --unit embeddings --priority warning --output cat")


def test_an_upgrade_keeps_the_settings_and_can_be_rolled_back(installed, sources, load):
    before = installed.run("readlink /opt/embeddings/current").strip()
    with load(pause=PAUSE_SECONDS) as answers, setting(installed, "EMBED_MAX_INPUTS=100"):
        ours = installed.run(f"cat {ENV}")
        with (
            change(sources / "pyproject.toml", f'version = "{VERSION}"', f'version = "{NEXT}"'),
            change(sources / "deploy/systemd/embeddings.env", "EMBED_THREADS=64", "EMBED_THREADS=32"),
            change(sources / "deploy/systemd/embeddings.socket", "Backlog=4096", "Backlog=2048"),
        ):
            said = installed.run(f"{HASTY} /src/deploy/install")
        upgraded = installed.run("readlink /opt/embeddings/current").strip()
        kept, new = installed.run(f"cat {ENV}"), installed.run(f"cat {ENV}.new")
        installed.run("/opt/embeddings/current/deploy/install --rollback")
        answers.wait_for(20)

    assert not answers.wrong
    assert upgraded.startswith(f"releases/{NEXT}-")
    assert f"keep {ENV}, which was changed here" in said
    assert kept == ours
    assert "EMBED_THREADS=32" in new
    assert installed.run("readlink /opt/embeddings/current").strip() == before


def test_a_changed_socket_is_applied_and_loses_nothing(installed, load):
    backlog = "ss -xlH src /run/embeddings.socket | awk '{print $4}'"
    with load() as answers:
        answers.wait_for(20)
        installed.run(f"/opt/embeddings/releases/{NEXT}-*/deploy/install")
        changed = installed.run(backlog)
        answers.wait_for(20)
        installed.run("/opt/embeddings/current/deploy/install --rollback")
        answers.wait_for(20)

    assert not answers.wrong
    assert (changed, installed.run(backlog)) == ("2048\n", "4096\n")


def test_a_release_that_does_not_start_is_rolled_back(installed, load):
    before = installed.run("readlink /opt/embeddings/current")
    packages = f"cd /opt/embeddings/releases/{NEXT}-*/.venv/lib/python3*/site-packages"
    installed.run(f"{packages}; mv flask broken")
    with load() as answers:
        answers.wait_for(20)
        said = installed.run(f"/opt/embeddings/releases/{NEXT}-*/deploy/install", check=False)
        answers.wait_for(20)
    installed.run(f"{packages}; mv broken flask")

    assert not answers.wrong
    assert "No module named 'flask'" in said
    assert re.search(r"deploy/install: \S+-\w+ was rolled back; \S+-\w+ runs again", said)
    assert installed.run("readlink /opt/embeddings/current") == before


def test_an_interrupted_upgrade_is_rolled_back(installed, load):
    before = installed.run("readlink /opt/embeddings/current")
    hang = "[Service]\nExecStartPre=sh -c 'case $$(readlink /opt/embeddings/current) in *9.9.9*) sleep 600; esac'\n"
    installed.run("mkdir /run/systemd/system/embeddings.service.d")
    installed.run("cat > /run/systemd/system/embeddings.service.d/hang.conf", stdin=hang)
    with load() as answers:
        answers.wait_for(20)
        said = installed.run(INTERRUPT, check=False)
        answers.wait_for(20)
    installed.run("rm -r /run/systemd/system/embeddings.service.d; systemctl daemon-reload")

    assert not answers.wrong
    assert re.search(r"9\.9\.9-\w+ does not run: SIGHUP", said)
    assert "was rolled back" in said
    assert installed.run("readlink /opt/embeddings/current") == before
    assert installed.run("readlink /proc/$(systemctl show -P MainPID embeddings)/cwd").endswith(
        before.partition("/")[2]
    )


def test_a_second_run_at_a_time_is_refused(installed):
    said = installed.run("flock /run/embeddings-install.lock /src/deploy/install", check=False)

    assert said == "deploy/install: another deploy/install is running; wait until it has ended\n"


def test_the_commands_of_the_operators_manual_run_as_printed(installed):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)

    assert len(blocks) >= 3
    printed = [installed.run(f"cd /src; set -e; {block}") for block in blocks]
    assert '"object":"embedding"' in printed[0]
    assert "embeddings_requests_in_flight " in printed[1]
    installed.wait_for(lambda: "embeddings_requests_in_flight 0" in installed.run(f"cd /src; set -e; {blocks[1]}"))


#: Run in the service's sandbox, each line an attempt.
PROBE = r"""
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, act):
    try:
        result = act()
        print("probe", name, "worked" if result is None or result >= 0 else errno.errorcode[ctypes.get_errno()])
    except OSError as error:
        print("probe", name, errno.errorcode[error.errno])
attempt("write-etc", lambda: open("/etc/x", "w").close())
attempt("write-release", lambda: open("/opt/embeddings/current/x", "w").close())
attempt("list-root", lambda: os.listdir("/root") and None)
attempt("packet-socket", lambda: socket.socket(socket.AF_PACKET).close())
attempt("become-root", lambda: os.setuid(0))
attempt("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
attempt("namespace", lambda: libc.unshare(0x10000000))
attempt("reboot", lambda: libc.reboot(0))
attempt("kernel-memory", lambda: open("/dev/kmsg").close())
attempt("write-cache", lambda: open("/var/cache/embeddings/probe", "w").close())
attempt("write-run", lambda: open("/run/embeddings/probe", "w").close())
attempt("inet-socket", lambda: socket.socket(socket.AF_INET).close())
attempt("affinity", lambda: os.sched_setaffinity(0, {0}))
print("probe processes", sum(name.isdigit() for name in os.listdir("/proc")), flush=True)
"""


def test_the_sandbox_denies_what_the_service_has_no_use_for(installed):
    installed.run("mkdir /run/systemd/system/embeddings.service.d")
    installed.run("cat > /usr/local/lib/probe.py", stdin=PROBE)
    drop_in = "[Service]\nExecStartPre=/usr/bin/python3 /usr/local/lib/probe.py\n"
    installed.run("cat > /run/systemd/system/embeddings.service.d/probe.conf", stdin=drop_in)
    installed.run("systemctl daemon-reload; systemctl restart embeddings.service")
    installed.run("rm -r /run/systemd/system/embeddings.service.d; systemctl daemon-reload")
    lines = installed.run("journalctl --unit embeddings --output cat | grep ^probe")
    results = dict(line.split()[1:] for line in lines.splitlines())

    assert int(results.pop("processes")) < 5
    # Not only what any user is denied: the file system, the address families and the system calls are closed too.
    assert results == {
        "write-etc": "EROFS",
        "write-release": "EROFS",
        "list-root": "EACCES",
        "packet-socket": "EAFNOSUPPORT",
        "become-root": "EPERM",
        "mount": "EPERM",
        "namespace": "EPERM",
        "reboot": "EPERM",
        "kernel-memory": "ENOENT",
        "write-cache": "worked",
        "write-run": "worked",
        "inet-socket": "worked",
        "affinity": "worked",
    }


def test_systemd_rates_the_exposure_at_most_one_and_a_half(installed):
    rating = installed.run("systemd-analyze security --no-pager embeddings.service | tail -1")

    assert float(re.search(r"service: ([\d.]+)", rating)[1]) <= 1.5


def test_keys_in_etc_are_checked_and_changed_at_run_time(installed):
    status = "curl -s -o /dev/null -w %{http_code} http://127.0.0.1:8080/v1/models -H 'Authorization: Bearer "
    new = "cd /opt/embeddings/current; .venv/bin/python -Bm service keys new client --file /etc/embeddings/keys"
    key = installed.run(new).strip()
    installed.run("chmod 644 /etc/embeddings/keys")
    with setting(installed, "EMBED_API_KEYS_FILE=/etc/embeddings/keys"):
        installed.run("systemctl restart embeddings.service")
        answers = [installed.run(f"{status}{sent}'") for sent in (key, key[:-1])]
        second = installed.run(new).strip()
        installed.wait_for(lambda: installed.run(f"{status}{second}'") == "200")
        journal = installed.run("journalctl --unit embeddings --output cat")
    installed.run("rm /etc/embeddings/keys; systemctl restart embeddings.service")

    assert answers == ["200", "401"]
    assert key[4:12] not in journal


def test_the_uwsgi_protocol_does_not_leave_the_machine(installed):
    """Neither as it is installed, nor by a socket unit that listens on the network."""
    listening = installed.run("ss -Htlnp | grep uwsgi", check=False)
    installed.run(
        f"""
        mkdir -p /run/systemd/system/embeddings.socket.d
        printf '[Socket]\\nListenStream=\\nListenStream={FRONT}:3031\\n' \
            > /run/systemd/system/embeddings.socket.d/address.conf
        systemctl daemon-reload; systemctl stop embeddings.socket embeddings.service; systemctl start embeddings.socket
        """
    )
    assert not installed.succeeds("systemctl start embeddings.service")
    installed.run(
        """
        systemctl stop embeddings.socket embeddings.service; rm -r /run/systemd/system/embeddings.socket.d
        systemctl daemon-reload; systemctl start embeddings.socket embeddings.service
        """
    )
    journal = installed.run("journalctl --unit embeddings --output cat")

    assert listening == ""
    assert installed.run("stat -c '%a %U %G' /run/embeddings.socket") == "660 root www-data\n"
    assert f"ListenStream={FRONT}:3031 of the socket unit: the uwsgi protocol trusts whoever connects" in journal


def test_uninstalling_leaves_settings_and_compiled_models(installed):
    """Purging leaves nothing."""
    said = installed.run("/src/deploy/install --uninstall")

    assert "kept: /etc/embeddings" in said
    ours = "/opt/embeddings /etc/systemd/system/embed* /etc/nginx/*/embed* /etc/embeddings /var/cache/embeddings"
    left = f"ls -d {ours} 2>/dev/null"
    assert installed.run(left, check=False).split() == ["/etc/embeddings", "/var/cache/embeddings"]
    installed.run("/src/deploy/install --uninstall --purge")
    assert installed.run(left, check=False) == ""
    installed.run("nginx -t -q")


def test_the_units_are_what_systemd_understands():
    units = (DEPLOY / "systemd").glob("*.s*")
    done = subprocess.run([program("systemd-analyze"), "verify", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "is not executable" not in line]

    assert complaints == []
