"""The deployed service without systemd: nginx with the files of deploy/, and uWSGI behind a held socket."""

import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from launchers.process import ROOT
from tests.programs import program
from tests.server.processes import Process, Service

DEPLOY = ROOT / "deploy"

INFERENCE = "        self._request.infer()\n"

#: A batch with a text of 150 to 199 tokens waits for a file of that name. No model measures itself with such a text.
HOLD = """
        import pathlib, time
        for length in {{*map(len, batch)}} & {{*range(150, 200)}}:
            while not pathlib.Path({directory!r}, str(length)).exists():
                time.sleep(0.05)
"""

#: Passes a listening socket to a program as systemd does: as descriptor 3, for the process of LISTEN_PID.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


#: The files of deploy/nginx that depend on where the service runs, by their places in /etc/nginx.
ONE_MACHINE = {
    "conf.d/embeddings-upstream.conf": "upstreams/one-machine.conf",
    "snippets/embeddings-pass.conf": "pass/uwsgi.conf",
}
SEVERAL_MACHINES = {
    "conf.d/embeddings-upstream.conf": "upstreams/several-machines.conf",
    "snippets/embeddings-pass.conf": "pass/http.conf",
}


class Nginx(Process):
    """Debian's nginx with the files of deploy/nginx in the places that deploy/install uses.

    It mounts directories of the test as /etc/nginx, /run, /run/embeddings and /var/log/nginx.

    Args:
        files: those that depend on where the service runs.
        site: a file of deploy/nginx/sites-available.
        prefix: the start of its command line.
        replaced: texts of the configuration with their replacements.
    """

    def __init__(
        self,
        directory: Path,
        files: Mapping[str, str] = ONE_MACHINE,
        site: str = "embeddings",
        prefix: Sequence[str] = (),
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.etc, self.run, self.logs = directory / "nginx", directory / "run-nginx", directory / "logs"
        shutil.copytree("/etc/nginx", self.etc, symlinks=True)
        for enabled in (self.etc / "sites-enabled").iterdir():
            enabled.unlink()
        for part in ("conf.d", "snippets", "sites-available"):
            shutil.copytree(DEPLOY / "nginx" / part, self.etc / part, dirs_exist_ok=True)
        for place, file in files.items():
            shutil.copy(DEPLOY / "nginx" / file, self.etc / place)
        (self.etc / "sites-enabled/embeddings").symlink_to(f"../sites-available/{site}")
        self._replace(replaced or {})
        service = directory / "run"
        for writable in (self.run, self.run / "embeddings", self.logs, service):
            writable.mkdir(exist_ok=True)
            writable.chmod(0o755)
        places = ("/etc/nginx", "/run", "/run/embeddings", "/var/log/nginx")
        mounts = zip((self.etc, self.run, service, self.logs), places, strict=True)
        script = " && ".join(
            [
                *(f"mount --bind {source} {target}" for source, target in mounts),
                f"exec {program('nginx')} -g 'daemon off;'",
            ]
        )
        super().__init__(
            [*prefix, program("unshare"), "--mount", "sh", "-c", script], directory, {"PATH": "/usr/sbin:/usr/bin:/bin"}
        )

    def _replace(self, texts: Mapping[str, str]) -> None:
        folders = ("conf.d", "snippets", "sites-available")
        for path in [self.etc / "nginx.conf", *(path for each in folders for path in (self.etc / each).iterdir())]:
            text = path.read_text()
            for old, new in texts.items():
                text = text.replace(old, new)
            path.write_text(text)

    @property
    def errors(self) -> str:
        return (self.logs / "error.log").read_text()


class HeldService(Service):
    """The service in the directory ``root``, behind a listening socket that outlives it, as under systemd."""

    def __init__(self, directory: Path, held: socket.socket, root: Path = ROOT, **settings: object) -> None:
        self.held = held
        super().__init__(directory, root, (), root / "uwsgi.ini", [held.fileno()], **settings)

    def wrap(self, command: Sequence[str | Path]) -> Sequence[str | Path]:
        return activate(self.held, command)


def activate(held: socket.socket, command: Sequence[str | Path]) -> list[str]:
    """Return the command line that runs ``command`` with the socket; the process must inherit the socket."""
    return [sys.executable, "-c", ACTIVATE, str(held.fileno()), *map(str, command)]


def hold(path: Path, backlog: int = 4096) -> socket.socket:
    """Listen on a socket that every user may connect to, since nginx's workers run as another user."""
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    path.chmod(0o666)
    held.listen(backlog)
    return held


def copy_tree(directory: Path) -> Path:
    """Copy the files of a release, so that a test can break the copy."""
    for name in ("wsgi.py", "uwsgi.ini"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(ROOT / "service", directory / "service", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def change_inference(tree: Path, code: str) -> None:
    """Have OpenVINO's model in a copied tree run this code before each batch, which is ``batch``."""
    model = tree / "service/models/openvino.py"
    text = model.read_text()
    assert INFERENCE in text
    model.write_text(text.replace(INFERENCE, code + INFERENCE))


def hold_texts(tree: Path, directory: Path) -> None:
    """Have the copied tree compute texts of ``held_text`` once a file is in the directory."""
    change_inference(tree, HOLD.format(directory=str(directory)))


def held_text(tokens: int) -> str:
    """Return a text that waits for a file whose name is its number of tokens, which is 150 to 199."""
    return "a " * (tokens - 2)
