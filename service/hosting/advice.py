"""What an operator may have got wrong: each warning names the fix."""

import logging
from collections.abc import Container, Iterator

from service import cpu
from service.hosting import uwsgi

log = logging.getLogger(__name__)


def warn(workers: int) -> None:
    """Log every warning once: in the first worker, when it starts for the first time."""
    if uwsgi.worker_number() > 1 or uwsgi.is_respawn():
        return
    warnings = list(about_cores(workers, cpu.available()))
    if uwsgi.is_present():
        warnings += about_uwsgi(uwsgi.options(), has_master=bool(uwsgi.master_pid()))
    for warning in warnings:
        log.warning("%s", warning)


def about_cores(workers: int, available: float) -> Iterator[str]:
    """Yield a warning if even one thread for each worker is more than the cores that are available."""
    if workers > available:
        yield (
            f"{workers} workers have {available:g} cores, and the kernel stops them in the middle of a batch; "
            "lower EMBED_WORKERS, or raise the CPU quota (CPUQuota= of the unit, limits.cpu of the pod)"
        )


def about_uwsgi(options: Container[str], *, has_master: bool) -> Iterator[str]:
    """Yield a warning for each option of uWSGI that costs time or requests."""
    if not has_master:
        yield "uWSGI runs without a master, so nobody starts a worker again that dies; set master = true"
    for option in ("http", "https"):
        if option in options:
            yield (
                f"uWSGI's {option} router answers each request on a kept-alive connection 44 ms late; put nginx in "
                f"front, or use {option}-socket in its place"
            )
