"""An installation in a directory of the test's own: files change for real, programs are faked."""

import shutil
import sys
from pathlib import Path

from installer.installation import Installation
from installer.machine import Machine, Refused
from installer.release import Tree
from tests.deploy.stage import DEPLOY
from tests.server.processes import ROOT


class FakeMachine(Machine):
    """Records commands; ``fail`` names one that fails, ``meanwhile`` is done while a service restarts."""

    def __init__(self, *, fail=None, lacks=(), meanwhile=None, error=Refused, dry_run=False):
        super().__init__(dry_run=dry_run)
        self.commands = []
        self.fail, self.lacks, self.meanwhile, self.error = fail, lacks, meanwhile, error

    def execute(self, command, timeout=None):  # noqa: ARG002  # as the real one
        line = " ".join(command)
        self.commands.append(line)
        if command[0] == "make":
            build_environment(Path(command[2]) / ".venv")
        if self.fail and self.fail in line:
            self.fail = None
            (self.meanwhile or bool)()
            raise self.error(f"{line} failed")

    def ask(self, *_):
        return ""

    def has(self, program):
        return program not in self.lacks

    def ran(self, text):
        return [line for line in self.commands if text in line]


def build_environment(directory):
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/python").symlink_to(sys.executable)
    (directory / "bin/uwsgi").write_text("#!/bin/sh\n")
    (directory / "bin/uwsgi").chmod(0o755)
    (directory / "pyvenv.cfg").write_text("version = {}.{}.{}\n".format(*sys.version_info))


class Sandbox:
    """A root directory to install in, and a tree to install."""

    def __init__(self, directory):
        self.root, self.prefix, self.tree = directory / "root", directory / "opt", directory / "tree"
        self.unit, self.env = self.etc("systemd/system/embeddings.service"), self.etc("embeddings/embeddings.env")
        shutil.copytree(DEPLOY, self.tree / "deploy")
        (self.tree / "service").mkdir()
        for name in ("wsgi.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.tree)

    def etc(self, name):
        return self.root / "etc" / name

    def installation(self, machine, tree=None, **options):
        return Installation(self.prefix, Tree(tree or self.tree), machine, root=self.root, **options)

    def install(self, *, tree=None, nginx=None, **options):
        machine = FakeMachine(**options)
        self.installation(machine, tree, nginx=nginx).install(60)
        return machine

    def upgrade(self, path="wsgi.py", old="", new="# changed\n", **options):
        """Change a file of the tree and install it."""
        text = (self.tree / path).read_text()
        (self.tree / path).write_text(text.replace(old, new, 1))
        return self.install(**options)

    @property
    def current(self):
        return (self.prefix / "current").resolve()

    @property
    def releases(self):
        return {path.name for path in (self.prefix / "releases").iterdir()}
