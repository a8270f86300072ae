"""Load or exit: the one rule for a process that starts to serve."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service import logs
from service.errors import StartError
from service.hosting import gunicorn, server, shutdown, steps, systemd, uwsgi

log = logging.getLogger(__name__)


@contextmanager
def loading(end: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Guard the import of the app and the load of its model; tell systemd when both are done.

    A respawned worker that fails exits alone and is tried again: the others go on serving.

    Args:
        end: called if the first start fails, before the error is raised.

    Raises:
        Exception: the first start failed. uWSGI's ``need-app`` then ends the whole instance.
    """
    serves = not server.will_fork()
    if serves:
        shutdown.die_on_signals()
        steps.note("began")
    try:
        logs.set_up_logging()
        if serves:
            log.info("worker %d starts", uwsgi.worker_number())
        with gunicorn.heartbeat():
            yield
        if serves:
            steps.note("ready")
            systemd.say_ready("answering requests")
            log.info("worker %d answers requests", uwsgi.worker_number())
    except Exception as error:
        understood = isinstance(error, StartError)  # one line for an operator, not a traceback
        reason = str(error) if understood else f"{type(error).__name__}: {error}"
        log.error(  # noqa: TRY400  # see above
            "worker %d cannot start: %s", uwsgi.worker_number(), reason, exc_info=None if understood else error
        )
        if uwsgi.is_respawn():
            os._exit(1)
        end()
        sys.tracebacklimit = 0
        raise
