"""Two multiprocessing processes that share a socket: ``python -m launchers.processes fork|spawn|forkserver PORT``."""

import multiprocessing
import socket
import sys
from typing import Any

import waitress

from launchers.apps import app  # before any fork, as people do


def _serve(listener: socket.socket) -> None:
    waitress.serve(app, sockets=[listener], threads=4)


def _main(method: str, port: int) -> None:
    context: Any = multiprocessing.get_context(method)
    listener = socket.create_server(("127.0.0.1", port))
    processes = [context.Process(target=_serve, args=(listener,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
