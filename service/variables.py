"""The ``EMBED_*`` variables as text: which are ours, and whether uWSGI may bind the addresses.

Standard library only: ``uwsgi.ini`` has this checked before uWSGI binds anything (``hosting/preflight.py``).
"""

import ipaddress
import os
import re
from collections.abc import Mapping

from service.errors import BadSetting

PREFIX = "EMBED_"

#: uWSGI's limit for the path of a Unix socket: ``bind_to_unix`` in its core/socket.c.
MAX_SOCKET_PATH_BYTES = 102

#: Kubernetes and Docker set these in each container for a service named "embed" or "embed-...".
INJECTED = re.compile(r"EMBED_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)")
INJECTED_URL = re.compile(r"EMBED_(\w+_)?PORT=(tcp|udp|sctp)://.*")

#: Variables whose value no message shows: a key may have been put there by mistake.
SECRET = re.compile("KEY|TOKEN(?!S)|SECRET|PASSW", re.IGNORECASE)

#: What a browser sends as Origin.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,?#@*]+", re.IGNORECASE)

#: As uWSGI takes it.
NUMBER = re.compile("0|[1-9][0-9]{0,8}")

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
ADDRESS = re.compile(r"(?P<host>\[[\w:.%]+\]|[\w.*-]*):(?P<port>\d+)", re.ASCII)

#: A packet of the uwsgi protocol may set variables of the process and have it open files (``uwsgi.ini``, max-apps).
LOCAL_ONLY = (
    "the uwsgi protocol trusts whoever connects, so it must not leave this machine; take a path or an address such as "
    "127.0.0.1:3031, and let other machines come over HTTP: to nginx, or to EMBED_HTTP behind it"
)


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set and not empty, without those that an orchestrator injects.

    Raises:
        BadSetting: a value holds a control character, or is no address where one is expected.
    """
    given = {name: value for name, value in environ.items() if value and _is_ours(name, value)}
    for name, value in given.items():
        if CONTROL_CHARACTER.search(name + value):
            shown = show(name, repr(value))
            raise BadSetting(f"{shown} holds a control character; remove it (each line of a file from Windows has one)")
    for name, port in (("EMBED_HTTP", 5000), ("EMBED_MONITOR", 5001)):
        if name in given:
            _check_address(name, given[name], f"ADDRESS:PORT, such as 127.0.0.1:{port} or [::1]:{port}")
    if "EMBED_SOCKET" in given:
        _check_socket("EMBED_SOCKET", given["EMBED_SOCKET"])
    if "EMBED_RUN_DIR" in given:
        _check_length("EMBED_RUN_DIR", given["EMBED_RUN_DIR"], "/stats")
    if not NUMBER.fullmatch(items := given.get("EMBED_CACHE_ITEMS", "0")):
        raise BadSetting(f"EMBED_CACHE_ITEMS={items}: expected a number, such as 16384, or 0 for no cache")
    if "EMBED_CORS_ORIGINS" in given:
        _check_origins("EMBED_CORS_ORIGINS", given["EMBED_CORS_ORIGINS"])
    return given


def show(name: str, value: str) -> str:
    """Return ``name=value`` for a message, or the name alone if the value may be secret."""
    return name if SECRET.search(name) else f"{name}={value}"


def _is_ours(name: str, value: str) -> bool:
    injected = INJECTED.fullmatch(name) or INJECTED_URL.fullmatch(f"{name}={value}")
    return name.startswith(PREFIX) and not injected


def _check_socket(name: str, value: str) -> None:
    if ":" not in value and ("/" in value or value.startswith("@")):
        _check_length(name, value)
    else:  # uWSGI takes what has a colon for host:port
        host = _check_address(
            name, value, "a path such as /run/embeddings/socket, or ADDRESS:PORT such as 127.0.0.1:3031"
        )
        if not is_loopback(host):
            raise BadSetting(f"{name}={value}: {LOCAL_ONLY}")


def is_loopback(host: str) -> bool:
    """Tell whether an address is one of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _check_address(name: str, value: str, expected: str) -> str:
    address = ADDRESS.fullmatch(value)
    if address is None:
        raise BadSetting(f"{name}={value}: expected {expected}")
    if not 1 <= int(address["port"]) <= 65535:
        raise BadSetting(f"{name}={value}: the port must be between 1 and 65535; expected {expected}")
    return address["host"]


def _check_origins(name: str, value: str) -> None:
    for origin in map(str.strip, value.split(",")):
        if value.strip() != "*" and not ORIGIN.fullmatch(origin):
            raise BadSetting(
                f"{name}={value}: {origin!r} is no origin; expected * or origins with commas between them, such as "
                "https://app.example.com,http://localhost:3000 (no path, no slash at the end)"
            )


def _check_length(name: str, value: str, file: str = "") -> None:
    if len(os.fsencode(value + file)) > MAX_SOCKET_PATH_BYTES:
        limit = MAX_SOCKET_PATH_BYTES - len(file)
        raise BadSetting(f"{name}={value}: the path of a Unix socket is limited; use one of at most {limit} bytes")
