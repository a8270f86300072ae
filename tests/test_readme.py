"""The documents say what the code does."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service.settings import Settings
from tests.programs import program

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_settings_table_has_every_setting_with_its_default():
    table = re.findall(r"^\| `(EMBED_\w+)` \| (?:`(.*?)`)? ?\|", README, re.MULTILINE)

    assert dict(table) == {name: str(default) for name, default in Settings.variables().items()}


def test_the_map_has_every_file_of_the_service():
    shown = set(re.findall(r"\b(\w+)\.py\b", README))
    there = {path.stem for path in (ROOT / "service").rglob("*.py")} - {"__init__"}

    assert there <= shown


def test_the_tests_that_show_what_is_protected_exist():
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "SECURITY.md").read_text())

    assert len(named) > 6
    assert all((ROOT / path).exists() for path in named)


def test_the_readmes_two_commands_install_packages_and_call_make():
    (commands,) = [block.split() for block in blocks("sh") if block.startswith("scripts")]

    assert len(commands) == 2
    for command in commands:
        target = command.removeprefix("scripts/")
        *_, packages, make = (ROOT / command).read_text().splitlines()
        assert (packages, make) == (f"scripts/packages {target}", f"exec make {target}")
        assert f"`make {target}`" in README
        assert f"\n{target}:" in MAKEFILE


@pytest.mark.server
@pytest.mark.model
def test_the_readmes_curl_prints_what_the_readme_shows(service):
    (curl,) = [block for block in blocks("sh") if block.startswith("curl")]
    (shown,) = map(json.loads, blocks("json"))
    arguments = shlex.split(curl.replace("http://127.0.0.1:5000", service.url))[1:]
    answer = json.loads(subprocess.run([program("curl"), *arguments], capture_output=True, check=True).stdout)

    vectors = [np.array(each["data"][0].pop("embedding")) for each in (answer, shown)]
    assert np.abs(vectors[0] - vectors[1]).max() < 0.02
    assert answer == shown


@pytest.mark.server
@pytest.mark.model
def test_the_readmes_program_runs(service):
    (program,) = blocks("python")
    program = program.replace("http://127.0.0.1:5000", service.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "2 384\n"
