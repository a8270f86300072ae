"""scripts/packages with programs of the test's own in place of Debian's."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts/packages"

#: dpkg-query that knows these packages; sudo that asks for a password; apt-get that writes its arguments down.
FAKES = {
    "dpkg-query": 'case "$INSTALLED " in *" $4 "*) echo installed ;; *) exit 1 ;; esac',
    "id": "echo $ID",
    "sudo": '[ -n "$SUDO" ] || exit 1; shift; exec "$@"',
    "apt-get": 'echo "$@" >> "$LOG"',
}


@pytest.fixture
def run(tmp_path):
    """Run scripts/packages; what is returned has the calls of apt-get as ``calls``."""
    for name, script in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run(command, **env):
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "ID": "1000", "SUDO": ""} | env
        done = subprocess.run([SCRIPT, command], env=env, capture_output=True, text=True, check=False)
        done.calls = (tmp_path / "log").read_text().splitlines() if (tmp_path / "log").exists() else []
        return done

    return run


SERVE = "make gcc libc6-dev libcrypt-dev python3-dev python3-venv"


@pytest.mark.parametrize("user", [{"ID": "0"}, {"SUDO": "yes"}], ids=["root", "sudo"])
def test_whoever_may_install_packages_does(run, user):
    done = run("serve", INSTALLED=" make gcc", **user)

    assert done.returncode == 0
    assert done.calls[0] == "update -q"
    assert done.calls[1].endswith("--no-install-recommends libc6-dev libcrypt-dev python3-dev python3-venv")


def test_anyone_else_gets_the_one_line_to_run(run):
    done = run("serve", INSTALLED=" make gcc")

    assert (done.returncode, done.calls) == (1, [])
    assert done.stderr.splitlines()[1].startswith(
        "apt-get update && apt-get install -qy --no-install-recommends libc6-dev "
    )


def test_where_nothing_is_missing_nothing_happens(run):
    done = run("serve", INSTALLED=f" {SERVE}")

    assert (done.returncode, done.stderr, done.calls) == (0, "", [])


def test_a_command_that_it_does_not_know_is_refused(run):
    assert run("nothing").returncode == 2
