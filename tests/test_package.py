"""pyproject.toml says what the package is."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from service import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.match(r"[\w-]+", each)[0] for each in requirements}


def imports(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in found}


def test_pypi_refuses_the_package():
    assert "Private :: Do Not Upload" in PROJECT["classifiers"]


def test_the_service_tells_the_version_of_the_package():
    assert __version__ == PROJECT["version"]


def test_every_package_that_the_service_imports_is_declared():
    imported = set.union(*(imports(path) for path in [*(ROOT / "service").rglob("*.py"), ROOT / "wsgi.py"]))
    foreign = imported - sys.stdlib_module_names - {"service", "uwsgi"}  # uwsgi exists inside its own server
    foreign -= {"opentelemetry", "pyarrow", "ray"}  # of the extras otel, bulk and ray
    distributions = packages_distributions()

    assert {distributions[name][0].lower().replace("_", "-") for name in foreign} == names(PROJECT["dependencies"])


def test_every_pin_but_torchs_has_hashes():
    pins = re.findall(r"^([\w.-]+)==\S+(.*)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)

    assert [name for name, rest in pins if not rest.endswith("\\")] == ["torch"]


def test_every_requirement_has_a_pin_in_its_section():
    """The sections are installed without looking at dependencies."""
    extras = PROJECT["optional-dependencies"]
    sections = {"torch build serve export": PROJECT["dependencies"]}
    for extra, wanted in extras.items():  # the tests need these three too, whose sections come before theirs
        sections[f"torch build serve export {'bulk otel ray ' if extra == 'test' else ''}{extra}"] = wanted
    for section, requirements in sections.items():
        printed = subprocess.run(
            [ROOT / "scripts/pins", *section.split()], capture_output=True, text=True, check=True
        ).stdout
        pinned = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", printed, re.MULTILINE)}
        assert names(requirements) - pinned == set(), section
