"""A source tree, and the copy of it that runs."""

import hashlib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .machine import Machine, Refused, say

#: Parts of a release, relative to the tree.
PARTS = (
    *("wsgi.py", "uwsgi.ini", "service", "deploy", "docs", "scripts", "Makefile", "pyproject.toml", "constraints.txt"),
    *("README.md", "CHANGELOG.md", "LICENSE"),
)
CHECK_TIMEOUT_SECONDS = 60


class Tree:
    """A checkout, or a release that is installed again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def release_name(self, python: str) -> str:
        """Return the version, and a digest of the files and the Python version.

        A virtual environment is of use to one Python alone. With the digest, a new Python gets a release of its own
        beside the one that runs.
        """
        total = hashlib.sha256(python.encode())
        for path in self._files():
            total.update(f"{path}\0".encode() + hashlib.sha256((self.root / path).read_bytes()).digest())
        version = tomllib.loads((self.root / "pyproject.toml").read_text())["project"]["version"]
        return f"{version}-{total.hexdigest()[:10]}"

    def copy(self, to: Path) -> None:
        """Copy the files of a release."""
        for path in self._files():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / path, to / path)
            executable = (self.root / path).stat().st_mode & 0o100
            (to / path).chmod(0o755 if executable else 0o644)

    def _files(self) -> Iterator[Path]:
        for part in PARTS:
            path = self.root / part
            found = [path] if path.is_file() else sorted(path.rglob("*"))
            yield from (each.relative_to(self.root) for each in found if _belongs(each))


class Release:
    """A directory under PREFIX/releases: a copy of a tree, with a virtual environment.

    Its last file is ``.complete``: a release without it was not finished.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = directory.name
        self.environment = directory / ".venv"
        self._mark = directory / ".complete"

    def check(self) -> None:
        """Check that the release is complete and that its Python and its uWSGI still run.

        Raises:
            Refused: it has to be built again.
        """
        if not self._mark.exists():
            raise Refused(f"{self.directory} is not complete")
        built, now = self._built_with(), python_version(str(self.environment / "bin/python"))
        if built != now:
            raise Refused(f"{self.environment} was made with Python {built}, and its Python is {now} now")
        _output(str(self.environment / "bin/uwsgi"), "--version")

    def build(self, tree: Tree, machine: Machine) -> None:
        """Copy the tree and install its packages; remove what was built if that fails.

        Raises:
            Refused: the packages could not be installed.
        """
        with machine.undone_on_failure():
            self._copy(tree, machine)
            machine.run("make", "-C", str(self.directory), "setup")
            sources = [str(self.directory / name) for name in ("service", "wsgi.py")]
            machine.run(str(self.environment / "bin/python"), "-m", "compileall", "-q", *sources)
            machine.do(f"mark {self.directory} as complete", self._mark.touch)
        machine.commit()

    def _copy(self, tree: Tree, machine: Machine) -> None:
        machine.remove(self._mark)
        if self.directory.exists() and self.directory.samefile(tree.root):
            say(f"keep {self.directory}, which is the tree that is installed")
            machine.remove(self.environment)
            return
        machine.remove(self.directory)
        machine.do(f"copy {tree.root} to {self.directory}", partial(tree.copy, self.directory), self._discard)

    def _discard(self) -> None:
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _built_with(self) -> str:
        """Return the Python version that venv wrote down when it made the environment."""
        record = self.environment / "pyvenv.cfg"
        found = re.search(r"^version *= *(\d+\.\d+)", record.read_text(), re.MULTILINE) if record.exists() else None
        if not found:
            raise Refused(f"{record} names no Python version")
        return found[1]


def python_version(python: str) -> str:
    """Return the version of a Python, such as 3.11.

    Raises:
        Refused: it does not run.
    """
    return _output(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=CHECK_TIMEOUT_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(f"{command[0]} does not run: {error}") from None
    return done.stdout.strip()


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
