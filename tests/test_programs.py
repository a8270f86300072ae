"""No test starts a program that may be missing without asking for it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests import programs
from tests.programs import PACKAGE, PACKAGES, program

ROOT = Path(__file__).parent.parent
LISTED = set(re.findall(r"[\w.-]+", " ".join(re.findall('="(.*)"', (ROOT / "scripts/packages").read_text()))))

#: Every Debian has these packages.
ESSENTIAL = {"coreutils", "dash", "mount", "tar", "util-linux"}


@pytest.fixture
def outside_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.setitem(PACKAGE, "nowhere", "no-package")
    return "nowhere"


@pytest.mark.usefixtures("outside_ci")
def test_a_missing_program_skips_the_test(missing):
    with pytest.raises(pytest.skip.Exception, match="needs nowhere, of the package no-package"):
        program(missing)


def test_a_missing_program_fails_the_test_in_ci(missing, monkeypatch):
    monkeypatch.setenv("CI", "1")

    with pytest.raises(pytest.fail.Exception, match="needs nowhere"):
        program(missing)


@pytest.mark.usefixtures("outside_ci")
def test_a_program_that_may_not_do_its_work_skips_the_test(monkeypatch):
    monkeypatch.setitem(programs.TRIALS, "du", "echo Operation not permitted >&2; exit 1")

    with pytest.raises(pytest.skip.Exception, match="may not use du here: .* says: Operation not permitted"):
        program("du")


@pytest.mark.parametrize("command", ["true", "/bin/true"])
def test_a_test_that_does_not_ask_for_its_program_fails(command):
    with pytest.raises(AssertionError, match=r"start .*true as program\('true'\)"):
        subprocess.run([command], check=True)


def test_the_test_command_installs_every_program():
    assert set(PACKAGES) <= LISTED | ESSENTIAL | {"systemd"}  # systemd-container brings systemd
