"""The head of a Ray cluster: joining the cluster, and who belongs to it."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from service.bulk.seats import Node
from service.errors import BulkFailed

#: How long an address may take to accept a connection.
CONNECT_SECONDS = 10.0

#: Ray reads these when it is imported. It has 20 tries of 40 s for an address that accepts and says nothing.
DEFAULTS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_NUM_REDIS_GET_RETRIES": "1"}


def join(address: str) -> tuple[str, int] | None:
    """Join a cluster; return where it accepts connections, None if that is not known.

    Raises:
        BulkFailed: nobody answers, or Ray refuses.
    """
    ray = require()
    named = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    _reach(named)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, logging_level=logging.WARNING, log_to_driver=False)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise BulkFailed(f"--on ray: no cluster at {address}: {tell(error)}") from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray's exits, and leaves the parts under way
    return _locate(named if "://" in named else ray.get_runtime_context().gcs_address)


@contextmanager
def answering() -> Iterator[None]:
    """Say so if the cluster is lost, or cannot run what this machine has.

    Raises:
        BulkFailed: it is so.
    """
    import ray

    try:
        yield
    except ImportError as error:  # Ray Client raises what its server raised
        raise BulkFailed(f"the head of the cluster lacks this project, or a part of it: {error}") from None
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise lost(tell(error)) from None


def lost(reason: str) -> BulkFailed:
    """Return the error of a run whose cluster is lost."""
    return BulkFailed(f"the cluster is lost: {reason}; run the same command to go on")


def require() -> Any:
    """Return Ray.

    Raises:
        BulkFailed: it is not installed.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise BulkFailed("--on ray needs the extra ray: pip install '.[ray]', on every node") from None
    return ray


def tell(error: Exception) -> str:
    """Return what Ray says in one line: of a traceback the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    is_traceback = any("Traceback" in line or "^^^" in line for line in lines)
    return lines[-1] if is_traceback else " ".join(lines)


def _reach(address: str) -> None:
    """Refuse an address to which nobody listens, for which Ray would wait for minutes."""
    if place := _locate(address):
        try:
            socket.create_connection(place, CONNECT_SECONDS).close()
        except OSError as error:
            raise BulkFailed(f"--on ray: nobody answers at {address}: {error.strerror or error}") from None


def _locate(address: str) -> tuple[str, int] | None:
    """Return the host and the port of an address, None if it does not name both."""
    url = urlsplit(address if "://" in address else f"//{address}")
    with suppress(ValueError):  # Ray says what is wrong with it
        if url.hostname and url.port:
            return url.hostname, url.port
    return None


def nodes() -> list[Node]:
    """Return the nodes that are alive."""
    import ray

    return [
        Node(node["NodeID"], int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]
