"""What Ctrl-C, a kill and a lost connection do to deploy/install."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from installer.interrupts import SIGNALS
from tests.deploy.stage import DEPLOY
from tests.programs import program

INTERRUPTED = """
import pathlib, time
from installer.interrupts import raise_on_signals
from installer.machine import Machine
def undo():
    pathlib.Path("undoing").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    pathlib.Path("undone").touch()
def fail():
    raise OSError("no space left on device")
raise_on_signals()
machine = Machine(dry_run=False)
with machine.undone_on_failure():
    machine.do("change", bool, undo)
    machine.do("change again", bool, fail)
    machine.execute(("sh", "-c", "sleep 600 & echo $! > draft; mv draft child; wait $!"))
"""


@pytest.fixture
def changing(tmp_path):
    """Start a change that a signal undoes; return the process and wait until its child runs."""
    env, started = os.environ | {"PYTHONPATH": str(DEPLOY)}, []

    def start(*prefix):
        command = [*prefix, sys.executable, "-c", INTERRUPTED]
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        started.append(process)
        process.directory = tmp_path
        wait_for((tmp_path / "child").exists)
        process.child = int((tmp_path / "child").read_text())
        return process

    yield start
    for process in started:
        with process, suppress(ProcessLookupError):
            process.kill()
            os.kill(process.child, signal.SIGKILL)


def wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def undo_under_signals(process):
    wait_for((process.directory / "undoing").exists)
    for number in SIGNALS:
        process.send_signal(number)
    (process.directory / "go").touch()
    process.wait(300)
    return (process.directory / "undone").exists()


def test_no_second_signal_stops_a_roll_back(changing):
    process = changing()
    process.send_signal(signal.SIGHUP)

    assert undo_under_signals(process)


def test_no_signal_stops_the_roll_back_of_a_failure(changing):
    process = changing()
    os.kill(process.child, signal.SIGKILL)

    assert undo_under_signals(process)


def test_a_hangup_under_nohup_interrupts_nothing(changing):
    process = changing(program("nohup"))
    (process.directory / "go").touch()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=300)[0].decode().endswith("KeyboardInterrupt: SIGTERM\n")


def test_an_interrupt_ends_what_was_started(changing):
    process = changing()
    (process.directory / "go").touch()
    process.send_signal(signal.SIGTERM)

    wait_for(lambda: not Path(f"/proc/{process.child}/cwd").exists())


def test_a_terminal_that_is_gone_does_not_stop_a_roll_back(changing):
    process = changing()
    process.stdout.close()
    (process.directory / "go").touch()
    process.send_signal(signal.SIGHUP)
    process.wait(300)

    assert (process.directory / "undone").exists()
