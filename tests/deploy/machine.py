"""A Debian 12 of its own whose first process is systemd, in systemd-nspawn."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.server.processes import ROOT

#: What docs/operations.md asks an operator to install, libssl-dev for the fastrouter, and what makes it a machine.
PACKAGES = "make gcc libc6-dev libssl-dev python3-dev python3-venv nginx-light systemd-sysv dbus curl"


class Machine:
    """Booted; ``run`` runs a command on it.

    Args:
        root: a directory with its files, from ``debootstrap``.
        namespace: the path of the network namespace that it shares.
        shown: directories of ours that it sees, by where.
    """

    def __init__(self, root, namespace, shown):
        self.root = root
        # Not `ip netns exec`, which hides the cgroups.
        command = ["nsenter", f"--net={namespace}", "systemd-nspawn", "--boot", "--quiet", f"--directory={root}"]
        binds = [f"--bind-ro={ours}:{theirs}" for theirs, ours in shown.items()]
        self.log = root.with_suffix(".log")
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [*command, "--register=no", "--keep-unit", *binds],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def run(self, command, *, check=True, stdin=None):
        """Run a shell command and return what it printed, errors included; fail with it if ``check``."""
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

    def succeeds(self, command):
        return subprocess.run([*self._enter(), "sh", "-c", command], capture_output=True, check=False).returncode == 0

    def show(self, name, unit="embeddings.service"):
        """A property of a unit."""
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def wait_for(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not after {seconds} s:\n" + self.run("journalctl --no-pager --lines 50"))
            time.sleep(0.1)

    def workers(self):
        """The pids of uWSGI's workers, as the machine counts them."""
        master = self.show("MainPID")
        return set(self.run(f"cat /proc/{master}/task/{master}/children", check=False).split())

    def stop(self):
        """Power it off, by force if it does not."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()

    def _wait(self):
        deadline = time.monotonic() + 60
        while True:
            leaders = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
            if leaders:
                self._leader = leaders[0]
                if "running" in self.run("systemctl is-system-running --wait", check=False):
                    return
            if self.popen.poll() is not None:  # the kernel, or what this runs in, does not let it
                pytest.skip(f"systemd-nspawn does not boot here: {self.log.read_text()}")
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def _enter(self):
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        offline = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        return ["nsenter", "--target", self._leader, "--all", *clean, *offline]


def debian(base, directory):
    """Make the root of a small Debian with systemd out of one without."""
    subprocess.run(["cp", "--archive", base, directory], check=True)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES.split()]
    shared = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(["chroot", directory, *install], env=shared, check=True, capture_output=True)
    (directory / "etc/nginx/sites-enabled/default").unlink()
    return directory


def wheels(directory):
    """Fetch every package that a release installs, so that the machine needs no index."""
    python = [shutil.which("python3", path="/usr/bin"), "-m", "pip"]
    command = [*python, "download", "--quiet", "--dest", directory, "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*map(str, command), f"{ROOT}[minilm,server]", "setuptools"], check=True, capture_output=True)
    return directory
