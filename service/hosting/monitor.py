"""Probes and metrics off the path of requests: ``uwsgi.ini`` runs this file in a process of its own, a mule.

It answers while every thread of every worker is taken, while the model loads and while the instance stops. Nothing but
the standard library is imported before ``serve``: uWSGI starts a mule that ended again at once, without a pause.
"""

import logging
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NoReturn

log = logging.getLogger(__name__)

#: A client that is slower is cut off.
CLIENT_SECONDS = 5.0

#: Above that, the client that came first is cut off: those that are slow keep nobody out.
MAX_CLIENTS = 32

#: How often a port that is in use is tried again.
BIND_SECONDS = 5.0

#: How often a monitor that leaves looks whether the workers have ended.
POLL_SECONDS = 0.05

#: The master sends SIGHUP for a stop and a reload, SIGINT for a stop at once and SIGTERM for a reload at once. The last
#: two also come from a terminal and from `timeout`, to every process.
LEAVE = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

#: The status, the type and the body of an answer, by the path.
Answer = Callable[[str], tuple[int, str, bytes]]


def serve() -> NoReturn:
    """Answer until the workers have ended; then end this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, LEAVE)  # in every thread: the main one waits for them
    try:
        _serve()
    except Exception:
        log.exception("the monitor failed; the workers still answer probes and metrics")
        time.sleep(BIND_SECONDS)
    os._exit(0)


def _serve() -> None:
    from service import logs
    from service.hosting import process, traces, uwsgi
    from service.hosting.instance import Instance

    logs.set_up_logging()
    run_dir = Path(os.environ["EMBED_RUN_DIR"])
    instance = Instance(run_dir, os.environ.get("EMBED_BATCHES", ""))
    path = run_dir / "monitor"
    listen_on_path(path, instance.answer)
    if address := os.environ.get("EMBED_MONITOR"):
        retry(partial(listen_on_address, address, instance.answer))
    signal.sigwait(LEAVE)
    instance.is_stopping = True
    while any(process.runs(worker.pid) for worker in uwsgi.workers()):  # the master looks once a second only
        time.sleep(POLL_SECONDS)
    traces.wait_until_sent(run_dir)
    path.unlink(missing_ok=True)


def listen_on_path(path: Path, answer: Answer) -> "Server":
    """Serve on a Unix socket, which every user may connect to who can reach its directory."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)  # nginx's user reads it
    return Server(listener, answer)


def listen_on_address(address: str, answer: Answer) -> "Server":
    """Serve on ADDRESS:PORT, which ``service.variables`` has checked; without an ADDRESS on every interface.

    Raises:
        OSError: the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]").replace("*", "")
    family, kind, _, _, sockaddr = socket.getaddrinfo(host or "0.0.0.0", int(port), type=socket.SOCK_STREAM)[0]  # noqa: S104
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(sockaddr)
        return Server(listener, answer)
    except OSError:
        listener.close()
        raise


def retry(listen: Callable[[], object]) -> None:
    """Listen; where that fails, say so once and go on trying in a thread."""
    try:
        listen()
    except OSError as error:
        log.error(  # noqa: TRY400  # one line for an operator
            "EMBED_MONITOR=%s: %s; it is tried again, and %s/monitor answers meanwhile",
            os.environ.get("EMBED_MONITOR"),
            error.strerror,
            os.environ.get("EMBED_RUN_DIR"),
        )
        threading.Thread(target=_insist, args=[listen], daemon=True).start()


def _insist(listen: Callable[[], object]) -> None:
    while True:
        time.sleep(BIND_SECONDS)
        with suppress(OSError):
            listen()
            log.info("EMBED_MONITOR=%s: it answers now", os.environ.get("EMBED_MONITOR"))
            return


class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Answers each client of a listener in a thread.

    Args:
        listener: a bound socket.
        answer: returns the answer for a path.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        super().__init__(listener.getsockname(), Handler)
        self.answer = answer
        self._listener = listener
        self._clients: list[socket.socket] = []
        listener.listen(128)
        threading.Thread(target=self.serve_forever, name="monitor", daemon=True).start()

    def fileno(self) -> int:
        """Return the descriptor that tells of a new client."""
        return self._listener.fileno()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client, and cut the oldest off if there are too many."""
        client, address = self._listener.accept()
        self._clients.append(client)
        if len(self._clients) > MAX_CLIENTS:
            with suppress(OSError):
                self._clients.pop(0).shutdown(socket.SHUT_RDWR)
        return client, address

    def shutdown_request(self, request: Any) -> None:
        """Close a client's connection."""
        with suppress(ValueError):  # cut off
            self._clients.remove(request)
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
        request.close()

    def server_close(self) -> None:
        """Close the listener."""
        self._listener.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what failed; a client that went away is no failure."""
        del request, client_address
        error = sys.exc_info()[1]
        if not isinstance(error, OSError | ValueError):
            log.error("the monitor failed on a request", exc_info=error)


class Handler(BaseHTTPRequestHandler):
    """Reads one request, without a body."""

    server: Server
    timeout = CLIENT_SECONDS
    server_version, sys_version = "embeddings", ""

    def do_GET(self) -> None:
        """Answer with a body."""
        status, content_type, body = self.server.answer(self.path.partition("?")[0].rstrip("/"))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no GET."""
        del message, explain
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write no line for a probe."""


if __name__ == "__main__":  # as uWSGI calls it
    serve()
