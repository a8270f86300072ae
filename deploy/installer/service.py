"""The service under systemd, and nginx in front of it."""

from functools import partial
from pathlib import Path

from .etc import SERVICE, SOCKET
from .machine import Machine, say

NGINX = "nginx.service"

#: A unit that inherits the old socket, and a setting that leaves the path to the new one.
HOLD = "embeddings-hold.service"
HOLD_FILES = {
    HOLD: f"[Service]\nType=exec\nSockets={SOCKET}\nExecStart=sleep infinity\n",
    f"{SOCKET}.d/embeddings-hold.conf": "[Socket]\nRemoveOnStop=no\n",
}


class Service:
    """embeddings.service with its socket.

    Args:
        machine: runs the commands.
        nginx: whether nginx is in front.
        units: where units that do not outlive a boot are.
    """

    def __init__(self, machine: Machine, *, nginx: bool, units: Path) -> None:
        self._machine = machine
        self._nginx = nginx
        self._hold_files = {units / name: content for name, content in HOLD_FILES.items()}
        #: Units that were told of the new files.
        self._touched: set[str] = set()

    def directory(self) -> Path | None:
        """Return the directory that the main process runs in; None if there is no process or no such directory."""
        pid = self._machine.ask("systemctl", "show", "--value", "--property=MainPID", SERVICE)
        link = Path(f"/proc/{pid}/cwd")
        if pid in {"", "0"} or not link.is_symlink():
            return None
        directory = link.readlink()
        return directory if directory.is_dir() else None

    def start(self, *, restart: bool, new_socket: bool, first: bool, timeout: float) -> None:
        """Start or restart the service, wait until it answers, and reload nginx.

        Args:
            restart: whether a service that runs is restarted.
            new_socket: whether the socket has to listen anew.
            first: whether a roll-back disables the units.
            timeout: seconds to wait.

        Raises:
            Refused: a step failed or took too long.
        """
        if self._nginx:
            self._machine.run("nginx", "-t", "-q")
        self._machine.run("systemctl", "daemon-reload")
        disable = ("systemctl", "disable", "--now", "--quiet", SOCKET, SERVICE)
        self._machine.run("systemctl", "enable", "--quiet", SOCKET, SERVICE, undo=disable if first else None)
        self._machine.run("systemctl", "start", SOCKET)
        if restart and not first:
            self._touched.add(SERVICE)
        self._machine.run("systemctl", "restart" if restart else "start", SERVICE, timeout=timeout)
        if new_socket:  # last: a release that does not start changes no socket
            self._replace_socket()
            self._machine.run("systemctl", "start", SERVICE, timeout=timeout)
        self._reload_nginx()

    def restore(self, *, start: bool, timeout: float) -> bool:
        """Load the files that were put back, and restart what ran the new ones; try every step.

        Args:
            start: start the service even if it was not restarted.
            timeout: seconds to wait for it.

        Returns:
            Whether the service runs, where it was started or restarted.
        """
        touched = frozenset(self._touched)
        self._attempt("systemctl", "daemon-reload")
        replaced = SOCKET in touched and self._machine.attempt(f"replace {SOCKET}", self._replace_socket)
        if NGINX in touched:
            self._attempt("systemctl", "try-reload-or-restart", NGINX)
        if not start and SERVICE not in touched:
            return True
        verb = "restart" if SERVICE in touched and not replaced else "start"
        return self._attempt("systemctl", verb, SERVICE, timeout=timeout)

    def stop(self) -> None:
        """Stop the service and its socket, now and at the next boot."""
        self._machine.run("systemctl", "disable", "--now", SOCKET, SERVICE)

    def forget(self) -> None:
        """Let systemd and nginx forget the files that were removed."""
        self._machine.run("systemctl", "daemon-reload")
        if self._nginx:
            self._machine.run("systemctl", "try-reload-or-restart", NGINX)

    def journal(self) -> str:
        """Return the last lines of the service's log."""
        lines = ("--lines", "20", "--no-pager", "--output", "cat")
        return self._machine.ask("journalctl", "--unit", SERVICE, *lines)

    def _replace_socket(self) -> None:
        """Let systemd listen as the new unit says; it restarts the service with the socket."""
        listen = self._machine.ask("systemctl", "show", "--value", "--property=Listen", SOCKET)
        if all(address.startswith("/") for address in listen.splitlines()):
            say(f"{SOCKET} has changed; requests wait while it is replaced")
            self._replace_held_socket()
        else:  # a TCP address cannot be opened anew while it is held
            say(f"{SOCKET} has changed; requests are refused while it is replaced")
            self._restart_socket()

    def _replace_held_socket(self) -> None:
        """Restart the socket without the loss of a request.

        systemd closes the old socket before it opens the new one. A unit that inherits the old one holds it open until
        then. When that unit stops, nginx repeats on the new socket what waited in the old one.
        """
        for path, content in self._hold_files.items():
            self._machine.write(path, content.encode())
        self._machine.run("systemctl", "daemon-reload")
        try:
            self._machine.run("systemctl", "start", HOLD)
            self._restart_socket()
        finally:
            self._attempt("systemctl", "stop", "--quiet", HOLD)
            for path in self._hold_files:
                self._machine.remove(path)
            self._attempt("systemctl", "daemon-reload")

    def _restart_socket(self) -> None:
        self._touched |= {SOCKET, SERVICE}
        self._machine.run("systemctl", "restart", SOCKET)
        self._reload_nginx()

    def _reload_nginx(self) -> None:
        if self._nginx:
            self._touched.add(NGINX)
            self._machine.run("systemctl", "reload-or-restart", NGINX)

    def _attempt(self, *command: str, timeout: float | None = None) -> bool:
        return self._machine.attempt(f"run {' '.join(command)}", partial(self._machine.run, *command, timeout=timeout))
