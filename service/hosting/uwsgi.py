"""uWSGI's own module behind typed functions; under any other server it is absent."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

uwsgi: ModuleType | None
try:
    import uwsgi  # type: ignore[import-untyped, no-redef]  # exists only inside a uWSGI process
except ImportError:
    uwsgi = None


class Worker(NamedTuple):
    """A worker as uWSGI's shared memory shows it, which no busy process delays."""

    number: int
    pid: int
    is_loaded: bool
    starts: int


def is_present() -> bool:
    """Tell whether uWSGI hosts this process."""
    return uwsgi is not None


def will_fork() -> bool:
    """Tell whether this is the master, or the first of several processes without one."""
    assert uwsgi is not None
    return bool(uwsgi.worker_id() == 0 and (uwsgi.masterpid() != 0 or uwsgi.numproc > 1))


def after_fork(load: Callable[[], None]) -> None:
    """Call ``load`` in each worker that is forked off this process.

    uWSGI forks in C, where os.register_at_fork is never heard of, and has a hook of its own, which mules run too. It
    goes on after a hook that raised: Python's KeyboardInterrupt would leave a worker without a model.
    """
    assert uwsgi is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited until ``load`` and then uWSGI set handlers of their own
    uwsgi.post_fork_hook = lambda: load() if worker_id() else None  # type: ignore[attr-defined]  # as its decorators do


def is_respawn() -> bool:
    """Tell whether an earlier process of this uWSGI worker has served before."""
    return worker_id() > 0 and _this_worker()["respawn_count"] > 0


def worker_id() -> int:
    """Return the number of this worker, from 1; 0 in a process that is none."""
    return int(uwsgi.worker_id()) if uwsgi is not None else 0


def worker_number() -> int:
    """Return the number of this worker, from 1; 1 under any other server."""
    return max(1, worker_id())


def worker_count() -> int:
    """Return the number of workers."""
    assert uwsgi is not None
    return int(uwsgi.numproc)


def workers() -> list[Worker]:
    """Return the workers; one without a process has the pid 0."""
    assert uwsgi is not None
    return [
        Worker(each["id"], each["pid"], bool(each["apps"] and each["pid"]), each["respawn_count"] + 1)
        for each in uwsgi.workers()
    ]


def master_pid() -> int:
    """Return the master's process id; 0 without a master."""
    return int(uwsgi.masterpid()) if uwsgi is not None else 0


def options() -> dict[str, Any]:
    """Return the options that uWSGI was started with."""
    assert uwsgi is not None
    given: dict[str, Any] = uwsgi.opt
    return given


def connection() -> int | None:
    """Return the descriptor of the connection that this thread serves; None outside uWSGI."""
    return int(uwsgi.connection_fd()) if uwsgi is not None else None


def read_chunk() -> bytes:
    """Return the next chunk of a chunked request body; b"" at its end.

    Raises:
        OSError: the client stalled or went away.
    """
    assert uwsgi is not None
    return bytes(uwsgi.chunked_read())


def run_dir() -> Path | None:
    """Return the directory of the master's fifo and statistics; None if no such master runs this process."""
    return Path(uwsgi.opt["stats"].decode()).parent if uwsgi is not None and "stats" in uwsgi.opt else None


def worker_file(name: str) -> Path | None:
    """Return the path of a file that belongs to this worker's number; None if no such master runs this process."""
    directory = run_dir()
    return directory / f"{name}.{worker_number()}" if directory else None


def has_cache(name: str) -> bool:
    """Tell whether uWSGI keeps a cache of this name, which the workers share."""
    given = uwsgi.opt.get("cache2", []) if uwsgi is not None else []
    caches = given if isinstance(given, list) else [given]
    return any(f"name={name}".encode() in cache.split(b",") for cache in caches)


def cache_get(key: bytes, name: str) -> bytes | None:
    """Return what a cache has under a key of at most its ``keysize``; None if it has nothing."""
    assert uwsgi is not None
    value: bytes | None = uwsgi.cache_get(key, name)
    return value


def cache_put(key: bytes, value: bytes, name: str) -> None:
    """Put a value of at most ``blocksize`` bytes into a cache; it stays until others need the room."""
    assert uwsgi is not None
    uwsgi.cache_update(key, value, 0, name)


def _this_worker() -> dict[str, Any]:
    assert uwsgi is not None
    worker: dict[str, Any] = uwsgi.workers()[uwsgi.worker_id() - 1]
    return worker
