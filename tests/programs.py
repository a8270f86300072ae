"""The programs of the machine that tests start: a missing one skips the test."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from launchers.process import ROOT

PACKAGES = {
    "chromium": ["chromium"],
    "coreutils": ["chroot", "cp", "du", "env", "nohup"],
    "curl": ["curl"],
    "dash": ["sh"],
    "debootstrap": ["debootstrap"],
    "e2fsprogs": ["mkfs.ext4"],
    "iproute2": ["ip"],
    "mount": ["mount", "umount"],
    "nginx": ["nginx"],
    "openssl": ["openssl"],
    "prometheus": ["prometheus", "promtool"],
    "systemd": ["systemd-analyze"],
    "systemd-container": ["systemd-nspawn"],
    "tar": ["tar"],
    "util-linux": ["nsenter", "prlimit", "unshare"],
}

#: The Debian package of each program.
PACKAGE = {program: package for package, programs in PACKAGES.items() for program in programs}

#: Commands that fail where a program may not do its work: for others than root, and in most containers.
TRIALS = {
    "chroot": "chroot / true",
    "debootstrap": "unshare --mount chroot / true",
    "ip": "unshare --mount --net ip link add type veth",
    "mount": "unshare --mount mount -t tmpfs tmpfs /tmp",
    "nsenter": "nsenter --mount=/proc/self/ns/mnt true",
    "systemd-nspawn": "unshare --user true",  # as the sandbox of the unit does
    "unshare": "unshare --mount true",
}

#: Debian keeps /usr/sbin out of an ordinary user's PATH; scripts/packages unpacks a package into .debian.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin:{ROOT}/.debian/usr/bin"

_found: set[str] = set()


def program(name: str) -> str:
    """Return the path of a program; skip the test if the program is missing or may not do its work."""
    package, path = PACKAGE[name], shutil.which(name, path=PATH)
    if path is None:
        skip(f"needs {name}, of the package {package}")
    _found.add(path)
    if name in TRIALS:
        _try(name)
    return path


def skip(reason: str) -> NoReturn:
    """Skip the test; in continuous integration, where nothing may be missing, fail it."""
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test that starts a program without asking ``program`` for it: this is an audit hook."""
    if event == "subprocess.Popen" and _calling_module().startswith("tests."):
        name = os.fsdecode(arguments[0])
        ours = name.startswith((sys.prefix, str(ROOT)))
        assert ours or name in _found, f"start {name} as program({Path(name).name!r})"


@cache
def _try(name: str) -> None:
    command = [program("sh"), "-c", TRIALS[name]]
    done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, check=False)
    if done.returncode:
        skip(f"may not use {name} here: `{TRIALS[name]}` says: {done.stderr.strip()}")


def _calling_module() -> str:
    """Return the name of the module that called subprocess."""
    frame = sys._getframe()
    while frame.f_back and frame.f_globals["__name__"] in {__name__, "subprocess", "launchers.process"}:
        frame = frame.f_back
    return str(frame.f_globals["__name__"])
