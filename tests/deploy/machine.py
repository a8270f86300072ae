"""A Debian 12 of its own whose first process is systemd, in systemd-nspawn."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Image, as_pip_here
from tests.programs import program, skip
from tests.server.processes import ROOT


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
        command = [program("nsenter"), f"--net={namespace}", program("systemd-nspawn"), "--boot", "--quiet"]
        binds = [f"--bind-ro={ours}:{theirs}" for theirs, ours in shown.items()]
        self.log = root.with_suffix(".log")
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [*command, f"--directory={root}", "--register=no", "--keep-unit", *binds],
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
                skip(f"systemd-nspawn does not boot here: {self.log.read_text()}")
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def _enter(self):
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        offline = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        return [program("nsenter"), "--target", self._leader, "--all", *clean, *offline]


def debian(base, directory):
    """Make the root of a small Debian with systemd out of one without."""
    subprocess.run([program("cp"), "--archive", base, directory], check=True)
    _run(directory, (ROOT / "scripts/packages").read_text(), "packages", "deploy")
    _run(directory, "apt-get install -qy --no-install-recommends systemd-sysv dbus")
    (directory / "etc/nginx/sites-enabled/default").unlink()
    return directory


def fetch_wheels(directory):
    """Fetch every Python package that a release installs into /wheels, so that the machine needs no index."""
    pins, download = ROOT / "scripts/pins", "/tmp/venv/bin/pip download --dest /wheels"
    _run(
        directory,
        f"""
        python3 -m venv /tmp/venv && {pins} build serve export minilm server > /tmp/pins &&
        {download} --no-deps -r /tmp/pins && {download} "$({pins} torch)"
        """,
    )


def _run(directory, script, *arguments):
    """Run a shell script in a Debian that has not booted."""
    env, paths = as_pip_here()
    command = Image(directory).enter("sh", "-c", script, *arguments, env=env, binds=[str(ROOT), *paths])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
