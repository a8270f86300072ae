"""Changes to this machine: each is printed, and all are undone if a later one fails."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from .interrupts import deferred, ignore_signals


class Refused(Exception):
    """The command cannot do what was asked; the message says what to change."""


class Machine:
    """This machine.

    Args:
        dry_run: print the changes and make none.
    """

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        #: Steps of the last roll-back that failed.
        self.not_undone: list[str] = []
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._backups: list[Path] = []

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """Undo every change since the last ``commit`` if anything is raised, a signal's interrupt included."""
        try:
            yield
        except BaseException:
            ignore_signals()
            self._roll_back()
            raise

    def commit(self) -> None:
        """Make the changes final."""
        self._undo.clear()
        while self._backups:
            backup = self._backups.pop()
            self.attempt(f"remove {backup}", partial(backup.unlink, missing_ok=True))

    def do(self, what: str, act: Callable[[], object], undo: Callable[[], object] | None = None) -> None:
        """Make one change. ``undo`` must also work where ``act`` failed halfway."""
        say(("would " if self.dry_run else "") + what)
        if self.dry_run:
            return
        if undo:
            self._undo.append((what, undo))
        act()

    def attempt(self, what: str, act: Callable[[], object]) -> bool:
        """Return whether ``act`` worked; report it if it did not."""
        try:
            act()
        except Exception as error:  # noqa: BLE001  # whatever failed, the next step must be tried
            say(f"could not {what}: {error}", error=True)
            return False
        return True

    def run(self, *command: str, timeout: float | None = None, undo: tuple[str, ...] | None = None) -> None:
        """Run a program that changes something.

        Raises:
            Refused: it failed or took too long.
        """
        undo_command = (lambda: self.execute(undo)) if undo else None
        self.do("run " + " ".join(command), lambda: self.execute(command, timeout), undo_command)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, whole or not at all. One that is there keeps its mode and its owner; a link stays a link."""
        path = path.resolve()
        before = path.stat() if path.exists() else None
        if before and path.read_bytes() == content:
            return

        def create(draft: Path) -> None:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                if before:
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode) if before else 0o644)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

        self._replace(path, f"write {path}", create)

    def link(self, path: Path, target: Path | str) -> None:
        """Point a symbolic link at ``target`` in one step."""
        if not (path.is_symlink() and path.readlink() == Path(target)):
            self._replace(path, f"point {path} to {target}", lambda draft: draft.symlink_to(target))

    def retire(self, path: Path) -> None:
        """Remove a file or a link; a roll-back brings it back."""

        def act() -> None:
            self._back_up(path)
            path.unlink()

        self.do(f"remove {path}", act, lambda: _restore(path, existed=True))

    def remove(self, path: Path) -> None:
        """Remove a file, a link or a directory for good, if it is there."""
        if path.is_dir() and not path.is_symlink():
            self.do(f"remove {path}/", lambda: shutil.rmtree(path))
        elif path.exists() or path.is_symlink():
            self.do(f"remove {path}", path.unlink)

    def execute(self, command: tuple[str, ...], timeout: float | None = None) -> None:
        """Run a program, its output where ours goes. An interrupt ends it and every process that it started.

        Raises:
            Refused: it failed or took too long.
        """
        process = None
        try:
            with deferred():  # an interrupt inside Popen would lose the process
                process = subprocess.Popen(command, start_new_session=True)
            status = process.wait(timeout)
        except BaseException as reason:
            if process:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if isinstance(reason, subprocess.TimeoutExpired):
                raise Refused(f"`{' '.join(command)}` took longer than {timeout:g} seconds") from None
            raise
        if status:
            raise Refused(f"`{' '.join(command)}` failed with {status}")

    def ask(self, *command: str) -> str:
        """Return the output of a program that changes nothing, whether it fails or not."""
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def check(self) -> None:
        """Check that this is a machine to install on.

        Raises:
            Refused: it is not.
        """
        if os.geteuid() != 0 and not self.dry_run:
            raise Refused("run it as root: it writes to /etc and starts a service")
        if not Path("/run/systemd/system").exists():
            raise Refused("systemd does not run here; without it, start the service by `make serve`")

    def require(self, *programs: str) -> None:
        """Check that programs are installed.

        Raises:
            Refused: some are not.
        """
        missing = [program for program in programs if not self.has(program)]
        if missing:
            found = f"cannot find {' and '.join(missing)}"
            raise Refused(f"{found}; on Debian run scripts/packages deploy (--no-nginx goes without nginx)")

    def has(self, program: str) -> bool:
        """Whether the program is installed."""
        return shutil.which(program) is not None

    def _replace(self, path: Path, what: str, create: Callable[[Path], None]) -> None:
        existed = os.path.lexists(path)

        def act() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = _beside(path, "draft")
            draft.unlink(missing_ok=True)
            try:
                create(draft)
                if existed:
                    self._back_up(path)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)

        self.do(what, act, lambda: _restore(path, existed=existed))

    def _back_up(self, path: Path) -> None:
        """Keep a second name of the file: a roll-back that renames it needs no space on the disk."""
        backup = _beside(path, "before")
        backup.unlink(missing_ok=True)
        os.link(path, backup, follow_symlinks=False)
        self._backups.append(backup)

    def _roll_back(self) -> None:
        """Undo every change, the last first. A step that fails is reported and stops no other."""
        self.not_undone = []
        while self._undo:
            what, undo = self._undo.pop()
            if not self.attempt(f"undo `{what}`", undo):
                self.not_undone.append(what)
        self._backups.clear()


def say(line: str, *, error: bool = False) -> None:
    """Print a line. A terminal that is gone must not stop the work."""
    with suppress(OSError):
        print(line, file=sys.stderr if error else sys.stdout, flush=True)


def _beside(path: Path, role: str) -> Path:
    """Return a name that neither nginx's ``include *`` nor systemd reads."""
    return path.with_name(f".{path.name}.{role}")


def _restore(path: Path, *, existed: bool) -> None:
    backup = _beside(path, "before")
    if not existed:
        path.unlink(missing_ok=True)
    elif os.path.lexists(backup):
        backup.replace(path)
        backup.unlink(missing_ok=True)  # rename(2) leaves two names of one file alone
