"""A private network of network namespaces: a front host and other hosts, each with its own address."""

import ctypes
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.programs import program

#: The front host; the others count from 10.0.0.11, as in deploy/nginx/upstreams/several-machines.conf.
FRONT = "10.0.0.1"

CLONE_NEWNET = 0x40000000


def ip(command: str) -> None:
    subprocess.run([program("ip"), *command.split()], check=True, capture_output=True)


def enter(namespace: str) -> None:
    """Move this thread into a network namespace."""
    with Path(namespace).open() as file:
        assert ctypes.CDLL(None).setns(file.fileno(), CLONE_NEWNET) == 0


class Network:
    """A context manager that makes the network and deletes it. A host is a number; the front host is 0."""

    def __init__(self, hosts: int) -> None:
        self._names = [f"embeddings-{os.getpid()}-{number}" for number in range(hosts + 1)]

    def __enter__(self) -> Self:
        front = self._names[0]
        for name in self._names:
            ip(f"netns add {name}")
            ip(f"-n {name} link set lo up")
        ip(f"-n {front} link add bridge type bridge")
        ip(f"-n {front} address add {FRONT}/24 dev bridge")
        ip(f"-n {front} link set bridge up")
        for number, name in enumerate(self._names[1:], start=1):
            ip(f"-n {front} link add port{number} type veth peer name eth0 netns {name}")
            ip(f"-n {front} link set port{number} master bridge up")
            ip(f"-n {name} address add {self.address(number)}/24 dev eth0")
            ip(f"-n {name} link set eth0 up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            subprocess.run([program("ip"), "netns", "delete", name], check=False)

    def address(self, number: int) -> str:
        return f"10.0.0.{10 + number}"

    def path(self, number: int) -> str:
        """Return the file of the host's namespace, for ``enter``."""
        return f"/run/netns/{self._names[number]}"

    def prefix(self, number: int) -> list[str]:
        """Return the start of a command line that runs on that host."""
        return [program("ip"), "netns", "exec", self._names[number]]

    def hold(self, number: int, port: int) -> socket.socket:
        """Listen on that host, as systemd would."""
        with ThreadPoolExecutor(1, initializer=enter, initargs=(self.path(number),)) as inside:
            return inside.submit(socket.create_server, (self.address(number), port), backlog=4096).result()

    def cut_off(self, number: int) -> None:
        ip(f"-n {self._names[0]} link set port{number} down")
