"""The service under a prefix: install it, roll it back, uninstall it.

PREFIX/releases/VERSION-DIGEST/    a copy of the tree with a virtual environment of its own
PREFIX/current                     the release that runs
PREFIX/state.json                  the release before it, and the digests of the files in /etc as they were installed
"""

import os
from functools import partial
from pathlib import Path

from .etc import SERVICE, Etc
from .machine import Machine, Refused, say
from .release import Release, Tree, python_version
from .service import Service
from .state import State

#: Where systemd keeps the directories of a service with DynamicUser, and links to them.
DATA = ("private/embeddings", "embeddings")


class Installation:
    """The releases under a prefix and the one that runs.

    Args:
        prefix: the directory.
        tree: what is installed.
        machine: makes the changes.
        nginx: whether the site is part of it; None for what was chosen before, at first that it is.
        root: the root of the file system.
    """

    def __init__(
        self, prefix: Path, tree: Tree, machine: Machine, *, nginx: bool | None = None, root: Path = Path("/")
    ) -> None:
        self._prefix = prefix
        self._tree = tree
        self._machine = machine
        self._current = prefix / "current"
        self._state_file = prefix / "state.json"
        self._state = State.read(self._state_file)
        self._nginx = self._state.nginx if nginx is None else nginx
        self._etc = Etc(root / "etc", prefix, machine, nginx=self._nginx)
        self._etc.check_prefix()
        self._service = Service(machine, nginx=self._nginx and machine.has("nginx"), units=root / "run/systemd/system")
        self._data = [root / "var" / kind / path for kind in ("cache", "lib") for path in DATA]

    def install(self, timeout: float) -> None:
        """Install the tree and start it; roll an upgrade back that does not become ready in ``timeout`` seconds.

        Raises:
            Refused: it was rolled back, or could not be tried.
        """
        python = os.environ.get("PYTHON", "python3")
        self._machine.require("make", python, *(["nginx"] if self._nginx else []))
        release, before = self._release(self._tree.release_name(python_version(python))), self._running()
        self._prune({release.name, before, self._state.previous})  # the disk may lack room for one more
        built = self._build(release)
        previous = before if before != release.name else self._state.previous
        self._switch(release, before, previous, restart=built or release.name != before, timeout=timeout)
        self._prune({release.name, previous})
        say(f"{release.name} would run" if self._machine.dry_run else f"{SERVICE} runs {release.name}")

    def roll_back(self, timeout: float) -> None:
        """Run the release before the present one again.

        Raises:
            Refused: there is none, or it does not become ready.
        """
        before, name = self._running(), self._state.previous
        if not name:
            raise Refused(f"there is no release before {before} under {self._prefix}")
        release = self._release(name)
        try:
            release.check()
        except Refused as reason:
            raise Refused(f"{name} cannot run again: {reason}; install it from its own checkout") from None
        self._switch(release, before, before, restart=name != before, timeout=timeout)
        say(f"{name} would run again" if self._machine.dry_run else f"{SERVICE} runs {name} again")

    def uninstall(self, *, purge: bool) -> None:
        """Stop the service and remove it; settings compiled models and clients' files stay unless ``purge``."""
        if self._etc.service.exists():
            self._service.stop()
        self._etc.remove()
        for path in [self._prefix / "releases", self._current, self._state_file]:
            self._machine.remove(path)
        if self._prefix.exists() and not any(self._prefix.iterdir()):
            self._machine.remove(self._prefix)
        kept = [self._etc.settings, *self._data]
        for path in kept if purge else []:
            self._machine.remove(path)
        if not purge:
            say("kept: " + ", ".join(str(path) for path in kept if path.exists()) + " (--purge removes them)")
        self._service.forget()

    def _release(self, name: str) -> Release:
        return Release(self._prefix / "releases" / name)

    def _running(self) -> str | None:
        """Return the name of the release that runs; of the one that ``current`` points to if none does."""
        directory = self._service.directory()
        if directory and directory.parent == (self._prefix / "releases").resolve():
            return directory.name
        return self._current.readlink().name if self._current.is_symlink() and self._current.exists() else None

    def _build(self, release: Release) -> bool:
        """Build the release unless it is there and works; return whether it was built."""
        if release.directory.exists():
            try:
                release.check()
            except Refused as reason:
                say(f"build {release.name} again: {reason}")
            else:
                say(f"{release.directory} is there")
                return False
        release.build(self._tree, self._machine)
        return True

    def _switch(
        self, release: Release, before: str | None, previous: str | None, *, restart: bool, timeout: float
    ) -> None:
        """Run ``release`` in place of ``before``; put everything back if anything prevents it, Ctrl-C included."""
        try:
            with self._machine.undone_on_failure():
                new_socket = self._etc.listens_anew(self._deploy(release), self._state.files)
                digests = self._etc.place(self._deploy(release), self._state.files)
                self._machine.link(self._current, Path("releases") / release.name)
                self._machine.write(self._state_file, State(previous, self._nginx, digests).encode())
                self._service.start(restart=restart, new_socket=new_socket, first=before is None, timeout=timeout)
        except BaseException as reason:  # noqa: BLE001  # Ctrl-C must not leave it half done either
            say(f"{release.name} does not run: {reason or type(reason).__name__}", error=True)
            self._machine.attempt("show the journal", lambda: say(self._service.journal(), error=True))
            raise Refused(self._run_again(before, release.name, timeout)) from None
        self._machine.commit()

    def _run_again(self, before: str | None, name: str, timeout: float) -> str:
        """Run ``before`` again, now that the files are back, and return a sentence about the roll-back."""
        another = before not in {None, name}
        if another:
            current = partial(self._machine.link, self._current, Path("releases") / str(before))
            self._machine.attempt(f"point {self._current} to {before}", current)
        runs = self._service.restore(start=another, timeout=timeout)
        self._machine.commit()
        if not another:
            outcome = f"{name} was not started; the lines above say why"
        elif runs:
            outcome = f"{name} was rolled back; {before} runs again and answers the requests that waited"
        else:
            outcome = f"{name} was rolled back, but {before} does not start; `journalctl -u embeddings` says why"
        left = ", ".join(self._machine.not_undone)
        return outcome + (f"; not undone: {left}" if left else "")

    def _deploy(self, release: Release) -> Path:
        """Return deploy/ of a release; a dry run has not copied it."""
        deploy = release.directory / "deploy"
        return deploy if deploy.exists() else self._tree.root / "deploy"

    def _prune(self, keep: set[str | None]) -> None:
        for directory in sorted((self._prefix / "releases").glob("*")):
            if directory.name not in keep:
                self._machine.attempt(f"remove {directory}", partial(self._machine.remove, directory))
