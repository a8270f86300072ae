"""deploy/install without systemd."""

import os
import shutil
import signal
import sys

import pytest

from installer.interrupts import SIGNALS
from installer.lock import exclusive
from installer.machine import Machine, Refused
from installer.release import Tree
from tests.deploy.sandbox import FakeMachine, Sandbox

SOCKET = "deploy/systemd/embeddings.socket"


def refusal(act, *arguments, **options):
    """Return why the installer refuses."""
    with pytest.raises(Refused) as refusal:
        act(*arguments, **options)
    return str(refusal.value)


@pytest.fixture(autouse=True)
def signals():
    """A roll-back ignores signals until the installer ends; the tests go on."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON", sys.executable)
    return Sandbox(tmp_path)


@pytest.fixture
def installed(sandbox):
    sandbox.install()
    return sandbox


def test_a_release_that_works_is_not_built_again(installed):
    assert not installed.install().ran("make")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".complete", None),
        (".venv/bin/python", None),
        (".venv/bin/uwsgi", "#!/bin/sh\nexit 127\n"),
        (".venv/pyvenv.cfg", "version = 3.9.1\n"),
        (".venv/pyvenv.cfg", ""),
    ],
)
def test_a_release_that_does_not_work_is_built_again(installed, name, content):
    path = installed.current / name
    path.unlink()
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    machine = installed.install()

    assert machine.ran("make")
    assert machine.ran("systemctl restart embeddings.service")
    assert not installed.install().ran("make")


def test_another_python_gets_a_release_of_its_own(sandbox):
    """The one that runs is not touched while the new one is built."""
    names = {Tree(sandbox.tree).release_name(python) for python in ("3.11", "3.13", "3.11")}

    assert len(names) == 2


def test_a_release_that_is_built_from_itself_keeps_its_files(installed):
    release = installed.current
    shutil.rmtree(release / ".venv")
    installed.install(tree=release)

    assert (release / "wsgi.py").exists()
    assert (release / ".venv/bin/python").exists()


@pytest.mark.parametrize("error", [Refused, OSError, KeyboardInterrupt])
def test_a_build_that_fails_leaves_nothing(installed, error):
    before = installed.current, installed.releases
    with pytest.raises(error):
        installed.upgrade(fail="make", error=error)

    assert (installed.current, installed.releases) == before


def test_a_release_that_did_not_start_is_not_built_again(installed):
    refusal(installed.upgrade, fail="restart embeddings.service")

    assert not installed.install().ran("make")


def test_releases_that_did_not_start_do_not_pile_up(installed):
    for _ in range(3):
        refusal(installed.upgrade, fail="restart embeddings.service")

    assert len(installed.releases) == 2


def test_an_upgrade_leaves_no_drafts_and_no_backups(installed):
    installed.upgrade("deploy/systemd/embeddings.service", "30min", "40min")

    assert not [*installed.root.rglob(".*"), *installed.prefix.glob(".*")]


def test_an_upgrade_that_fails_puts_every_file_back(installed):
    before = installed.current, installed.unit.read_text(), (installed.prefix / "state.json").read_text()
    said = refusal(
        installed.upgrade, "deploy/systemd/embeddings.service", "30min", "40min", fail="restart embeddings.service"
    )

    assert (installed.current, installed.unit.read_text(), (installed.prefix / "state.json").read_text()) == before
    assert f"{before[0].name} runs again" in said
    assert not list(installed.root.rglob(".*"))


def test_an_undo_that_fails_stops_no_other(installed, capfd):
    """The release before runs again, whatever could not be put back."""
    before, machine = installed.current, []

    def sabotage():
        installed.unit.unlink()
        installed.unit.mkdir()

    machine = FakeMachine(fail="restart embeddings.service", meanwhile=sabotage)
    (installed.tree / "deploy/systemd/embeddings.service").write_text(f"# {installed.prefix}/current\n")
    said = refusal(installed.installation(machine).install, 60)

    assert machine.commands[-1] == "systemctl restart embeddings.service"
    assert installed.current == before
    assert f"not undone: write {installed.unit}" in said
    assert "Is a directory" in capfd.readouterr().err


def test_a_reload_that_fails_does_not_stop_the_roll_back(installed):
    class Broken(FakeMachine):
        def execute(self, command, timeout=None):
            super().execute(command, timeout)
            if command[1] == "daemon-reload":
                raise OSError("No space left on device")

    machine = Broken()
    (installed.tree / "wsgi.py").write_text("# changed\n")
    refusal(installed.installation(machine).install, 60)

    assert machine.commands[-1] == "systemctl start embeddings.service"


def test_a_service_that_was_not_touched_is_not_restarted(installed):
    machine = FakeMachine(fail="nginx -t")
    (installed.tree / "wsgi.py").write_text("# changed\n")
    refusal(installed.installation(machine).install, 60)

    assert not machine.ran("systemctl restart")


def test_a_failed_first_install_is_disabled_before_its_units_go(sandbox):
    present = []
    machine = FakeMachine(fail="restart embeddings.service")
    machine.attempt = lambda what, act: (
        present.append((what, sandbox.unit.exists())) or Machine.attempt(machine, what, act)
    )
    said = refusal(sandbox.installation(machine).install, 60)

    assert machine.ran("disable --now")
    assert (next(what for what, _ in present if "enable" in what), True) in present
    assert not sandbox.unit.exists()
    assert said.endswith("was not started; the lines above say why")


def test_a_file_keeps_its_mode_and_its_owner(installed):
    owner = (1, 2) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    installed.env.chmod(0o640)
    os.chown(installed.env, *owner)
    installed.upgrade("deploy/systemd/embeddings.env", "EMBED_THREADS=64", "EMBED_THREADS=32")
    status = installed.env.stat()

    assert "EMBED_THREADS=32" in installed.env.read_text()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, *owner)


def test_a_file_that_is_a_link_stays_one(installed):
    elsewhere = installed.env.rename(installed.root / "elsewhere.env")
    installed.env.symlink_to(elsewhere)
    installed.upgrade("deploy/systemd/embeddings.env", "EMBED_THREADS=64", "EMBED_THREADS=32")

    assert installed.env.is_symlink()
    assert "EMBED_THREADS=32" in elsewhere.read_text()


def test_a_comment_in_the_socket_unit_restarts_no_socket(installed):
    machine = installed.upgrade(SOCKET, "# nginx's group", "# The group")

    assert "# The group" in installed.etc("systemd/system/embeddings.socket").read_text()
    assert not machine.ran("restart embeddings.socket")


def test_a_changed_socket_is_replaced_while_the_old_one_is_held(installed):
    machine = installed.upgrade(SOCKET, "Backlog=4096", "Backlog=2048")
    order = [f"systemctl {each}" for each in ("start embeddings-hold", "restart embeddings.socket", "stop --quiet emb")]
    lines = [line for line in machine.commands if line.startswith(tuple(order))]

    assert [line.startswith(each) for line, each in zip(lines, order, strict=True)] == [True] * 3
    assert not list(installed.root.glob("run/**/*hold*"))


def test_a_socket_unit_that_was_changed_here_is_left_alone(installed):
    unit = installed.etc("systemd/system/embeddings.socket")
    unit.write_text(unit.read_text().replace("4096", "100"))

    assert not installed.upgrade(SOCKET, "Backlog=4096", "Backlog=2048").ran("restart embeddings.socket")


@pytest.mark.parametrize(("fail", "replaced"), [("restart embeddings.service", 0), ("restart embeddings.socket", 2)])
def test_a_socket_that_was_replaced_is_put_back(installed, fail, replaced):
    """A release that does not start replaces none."""
    machine = FakeMachine(fail=fail)
    socket = installed.tree / SOCKET
    socket.write_text(socket.read_text().replace("4096", "2048"))
    refusal(installed.installation(machine).install, 60)

    assert len(machine.ran("restart embeddings.socket")) == replaced
    assert "4096" in installed.etc("systemd/system/embeddings.socket").read_text()
    assert machine.commands[-1].endswith("start embeddings.service")
    assert not list(installed.root.glob("run/**/*hold*"))


def test_a_second_run_at_a_time_is_refused(tmp_path):
    with (
        exclusive(tmp_path / "lock"),
        pytest.raises(Refused, match="another deploy/install is running"),
        exclusive(tmp_path / "lock"),
    ):
        pytest.fail("both run")


def test_a_roll_back_needs_neither_make_nor_nginx(installed):
    before = installed.current
    installed.upgrade()
    machine = FakeMachine(lacks=("make", "nginx", sys.executable))
    installed.installation(machine).roll_back(60)

    assert installed.current == before
    assert not machine.ran("nginx")


def test_uninstalling_needs_neither_make_nor_nginx(installed):
    machine = FakeMachine(lacks=("make", "nginx", sys.executable))
    installed.installation(machine).uninstall(purge=True)

    assert not machine.ran("nginx")
    assert not installed.prefix.exists()
    assert not list(installed.root.rglob("*embed*"))


def test_installing_says_which_programs_are_missing(sandbox):
    assert "cannot find make and nginx" in refusal(sandbox.install, lacks=("make", "nginx"))
    assert "cannot find make;" in refusal(sandbox.install, lacks=("make", "nginx"), nginx=False)


def test_a_release_that_does_not_work_is_not_rolled_back_to(installed):
    before = installed.current
    installed.upgrade()
    now = installed.current
    (before / ".venv/bin/python").unlink()
    said = refusal(installed.installation(FakeMachine()).roll_back, 60)

    assert "bin/python does not run" in said
    assert installed.current == now


def test_a_roll_back_removes_files_of_the_newer_release_alone(installed):
    limits = installed.etc("nginx/conf.d/embeddings.conf")
    for name in ("nginx/conf.d/embeddings.conf", "nginx/sites-available/embeddings-tls"):
        (installed.current / "deploy" / name).unlink()
    installed.upgrade()
    installed.etc("nginx/sites-available/embeddings-tls").write_text("mine")
    installed.installation(FakeMachine()).roll_back(60)

    assert not limits.exists()
    assert installed.etc("nginx/sites-available/embeddings-tls").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 3}', '{"previous": 3}', '{"files": {"a": null}}'])
def test_a_damaged_state_file_is_named(installed, content):
    (installed.prefix / "state.json").write_text(content)

    assert f"{installed.prefix}/state.json is damaged" in refusal(installed.install)


def test_a_current_release_that_is_missing_is_none(installed):
    shutil.rmtree(installed.current)
    installed.upgrade()

    assert refusal(installed.installation(FakeMachine()).roll_back, 60).startswith("there is no release before")


def test_another_prefix_than_the_installed_one_is_refused(installed):
    installed.prefix = installed.prefix.with_name("other")

    assert "give the --prefix" in refusal(installed.install)


def test_a_dry_run_changes_nothing(installed):
    before = {path: path.lstat().st_mtime_ns for path in installed.root.parent.rglob("*")}
    shutil.rmtree(installed.tree / "service")
    machine = installed.install(dry_run=True)

    assert machine.commands == []
    assert {path: path.lstat().st_mtime_ns for path in installed.prefix.rglob("*")}.items() <= before.items()
