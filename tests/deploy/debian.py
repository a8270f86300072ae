"""A minimal Debian 12 with Python, packed: files that many tests copy and nobody keeps."""

import subprocess
from pathlib import Path

from tests.programs import program


def pack(archive: Path, scratch: Path) -> None:
    """Make the root directory of a Debian in ``scratch`` and write it to ``archive``."""
    include = "--include=python3,python3-venv,python3-dev,ca-certificates"
    _run(program("debootstrap"), "--variant=minbase", include, "bookworm", scratch)
    draft = archive.with_suffix(".draft")
    _run(program("tar"), "-cf", draft, "--numeric-owner", "-C", scratch, ".")
    draft.rename(archive)


def unpack(archive: Path, directory: Path) -> None:
    directory.mkdir()
    _run(program("tar"), "-xpf", archive, "--numeric-owner", "-C", directory)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
