"""The files of a release in /etc: the settings, the units and nginx's site."""

import hashlib
from pathlib import Path

from .machine import Machine, Refused, say

SERVICE, SOCKET = "embeddings.service", "embeddings.socket"
DEFAULT_PREFIX = Path("/opt/embeddings")

#: From deploy/ to /etc.
SYSTEM_FILES = {
    "systemd/embeddings.env": "embeddings/embeddings.env",
    f"systemd/{SOCKET}": f"systemd/system/{SOCKET}",
    f"systemd/{SERVICE}": f"systemd/system/{SERVICE}",
}
NGINX_FILES = {
    "nginx/upstreams/one-machine.conf": "nginx/conf.d/embeddings-upstream.conf",
    "nginx/conf.d/embeddings.conf": "nginx/conf.d/embeddings.conf",
    "nginx/pass/uwsgi.conf": "nginx/snippets/embeddings-pass.conf",
    "nginx/snippets/embeddings.conf": "nginx/snippets/embeddings.conf",
    "nginx/sites-available/embeddings": "nginx/sites-available/embeddings",
    "nginx/sites-available/embeddings-tls": "nginx/sites-available/embeddings-tls",
}


class Etc:
    """/etc, with the files of one installation.

    Args:
        root: /etc.
        prefix: where the releases are; the files name it.
        machine: makes the changes.
        nginx: whether nginx's files belong to it.
    """

    def __init__(self, root: Path, prefix: Path, machine: Machine, *, nginx: bool) -> None:
        self.settings = root / "embeddings"
        self.service = root / "systemd/system" / SERVICE
        self.socket = root / "systemd/system" / SOCKET
        self._root = root
        self._prefix = prefix
        self._machine = machine
        self._nginx = nginx

    def place(self, deploy: Path, known: dict[str, str]) -> dict[str, str]:
        """Put the files of a release in place, remove those that it does not have, and return the digests.

        A file that was changed here stays, and the new one is put beside it with the ending .new.

        Args:
            deploy: the directory of that name in the release.
            known: the digest of each file as it was installed last.
        """
        files = {self._root / to: deploy / name for name, to in self._table().items() if (deploy / name).exists()}
        foreign = {} if self._nginx else {path: each for path, each in known.items() if self._is_nginx(Path(path))}
        for path in sorted(known.keys() - foreign.keys() - set(map(str, files))):
            self._retire(Path(path), known[path])
        self._enable_site(known)
        return foreign | {
            str(to): self._place(to, self._render(file), known.get(str(to), "")) for to, file in files.items()
        }

    def remove(self) -> None:
        """Remove the units and the site, and keep the settings."""
        files = [self._root / to for to in self._table().values() if not to.startswith("embeddings/")]
        enabled = (self._root / "nginx/sites-enabled").glob("*") if self._nginx else ()
        for path in [link for link in enabled if link.resolve() in files] + files:
            self._machine.remove(path)
            self._machine.remove(_new(path))

    def check_prefix(self) -> None:
        """Check that the unit that is installed starts from this prefix.

        Raises:
            Refused: it starts from another one.
        """
        if self.service.exists() and f"{self._prefix}/current" not in self.service.read_text():
            raise Refused(
                f"{self.service} does not start from {self._prefix}/current; "
                "give the --prefix that it was installed with"
            )

    def listens_anew(self, deploy: Path, known: dict[str, str]) -> bool:
        """Whether ``place`` changes how a socket unit that is there listens; its comments do not count."""
        if not self.socket.exists():
            return False
        before, after = self.socket.read_bytes(), self._render(deploy / f"systemd/{SOCKET}")
        return _digest(before) == known.get(str(self.socket)) and _listening(before) != _listening(after)

    def _table(self) -> dict[str, str]:
        return SYSTEM_FILES | (NGINX_FILES if self._nginx else {})

    def _is_nginx(self, path: Path) -> bool:
        return path.is_relative_to(self._root / "nginx")

    def _enable_site(self, known: dict[str, str]) -> None:
        """Enable the site when it is installed for the first time: a link that was removed since stays removed."""
        if self._nginx and str(self._root / "nginx/sites-available/embeddings") not in known:
            self._machine.link(self._root / "nginx/sites-enabled/embeddings", "../sites-available/embeddings")

    def _place(self, path: Path, content: bytes, known: str) -> str:
        new = _digest(content)
        there = _digest(path.read_bytes()) if path.exists() else known
        if there in {known, new}:
            self._machine.write(path, content)
            return new
        say(f"keep {path}, which was changed here")
        self._machine.write(_new(path), content)
        return known

    def _retire(self, path: Path, known: str) -> None:
        """Remove a file that the release does not have, unless it was changed here."""
        if path.exists() and _digest(path.read_bytes()) == known:
            self._machine.retire(path)
        elif path.exists():
            say(f"keep {path}, which was changed here and does not belong to the release")

    def _render(self, file: Path) -> bytes:
        return file.read_bytes().replace(str(DEFAULT_PREFIX).encode(), str(self._prefix).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _listening(unit: bytes) -> list[str]:
    _, _, section = unit.decode().partition("[Socket]")
    lines = [line.strip() for line in section.partition("\n[")[0].splitlines()]
    return [line for line in lines if line and not line.startswith(("#", ";"))]
