"""The deployed service without systemd: Debian's nginx with the files of deploy/, uWSGI behind a held socket."""

import shutil
import socket
import sys
from pathlib import Path

from tests.programs import program
from tests.server.processes import ROOT, Process, Service

DEPLOY = ROOT / "deploy"

#: Passes a listening socket on as systemd does: as descriptor 3, for the process that is named.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Nginx(Process):
    """nginx as Debian configures it, with the files of deploy/nginx where deploy/install puts them.

    It sees directories of the test's own as /etc/nginx, /run and /var/log/nginx.

    Args:
        directory: the test's.
        upstream: which of deploy/nginx/upstreams.
        site: which of deploy/nginx/sites-available.
        prefix: a command to run it with.
        replaced: texts to replace in the configuration.
    """

    def __init__(self, directory, upstream="one-machine", site="embeddings", prefix=(), replaced=()):
        self.etc, self.run, self.logs = directory / "nginx", directory / "run-nginx", directory / "logs"
        shutil.copytree("/etc/nginx", self.etc, symlinks=True)
        for enabled in (self.etc / "sites-enabled").iterdir():
            enabled.unlink()
        for part in ("conf.d", "snippets", "sites-available"):
            shutil.copytree(DEPLOY / "nginx" / part, self.etc / part, dirs_exist_ok=True)
        shutil.copy(DEPLOY / f"nginx/upstreams/{upstream}.conf", self.etc / "conf.d/embeddings-upstream.conf")
        (self.etc / "sites-enabled/embeddings").symlink_to(f"../sites-available/{site}")
        for path in [*self.etc.glob("conf.d/*"), *self.etc.glob("snippets/*"), *self.etc.glob("sites-available/*")]:
            text = path.read_text()
            for old, new in dict(replaced).items():
                text = text.replace(old, new)
            path.write_text(text)
        for made in (self.run, self.logs):
            made.mkdir(exist_ok=True)
            made.chmod(0o755)
        mounts = [(self.etc, "/etc/nginx"), (self.run, "/run"), (self.logs, "/var/log/nginx")]
        script = " && ".join(
            [*(f"mount --bind {ours} {theirs}" for ours, theirs in mounts), f"exec {program('nginx')} -g 'daemon off;'"]
        )
        super().__init__(
            [*prefix, program("unshare"), "--mount", "sh", "-c", script], directory, {"PATH": "/usr/sbin:/usr/bin:/bin"}
        )

    @property
    def errors(self):
        return (self.logs / "error.log").read_text()


class HeldService(Service):
    """The service behind a listening socket that outlives it, as under systemd.

    Args:
        directory: the test's; the statistics and the log are there.
        held: the listening socket.
        root: the tree to run.
    """

    def __init__(self, directory, held, root=ROOT, **settings):
        self.held = held
        super().__init__(directory, root, pass_fds=[held.fileno()], ini=root / "uwsgi.ini", **settings)

    def wrap(self, command):
        return activated(self.held, command)


def activated(held, command):
    """Return the command that runs ``command`` with the socket, which it must inherit."""
    return [sys.executable, "-c", ACTIVATE, str(held.fileno()), *map(str, command)]


def hold(path: Path, backlog=4096):
    """Listen on a socket that nginx may connect to, whoever runs its workers."""
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    path.chmod(0o666)
    held.listen(backlog)
    return held


def copy_tree(directory):
    """Copy what makes a release, so that a test can break it."""
    for name in ("wsgi.py", "uwsgi.ini"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(ROOT / "service", directory / "service", ignore=shutil.ignore_patterns("__pycache__"))
    return directory
