"""Check the settings and the model's files before any worker exists; ``uwsgi.ini`` imports this file by its path.

The check runs in a child: what the master imported, every worker would inherit, and a rolling reload could not renew.
"""

import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType
from typing import NoReturn

STOP = (signal.SIGINT, signal.SIGTERM)


def check() -> int:
    """Return 0 if the service can start, else 1 after logging why."""
    from service.errors import StartError
    from service.hosting import systemd, uwsgi
    from service.models import catalog
    from service.settings import Settings

    systemd.set_up_logging()
    log = logging.getLogger("service")
    try:
        settings = Settings.from_env()
        source = catalog.prepare(settings)
    except StartError as error:
        log.error("the service cannot start: %s", error)  # noqa: TRY400  # one line for an operator
        return 1
    log.info("serving %s with %d workers on %s", source.name, settings.workers, uwsgi.address())
    return 0


def run_in_child() -> int:
    """Run the check in a process group of its own, and end it at once if this process is told to stop.

    uWSGI ignores SIGTERM until its master loop, and compiling or downloading a model may take minutes.
    """
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        for number in STOP:
            signal.signal(number, signal.SIG_DFL)
        try:
            status = check()
        except BaseException:  # noqa: BLE001  # or this child would go on as a second uWSGI
            traceback.print_exc()
            status = 1
        os._exit(status)

    def stop(number: int, _: FrameType | None) -> NoReturn:
        with suppress(ProcessLookupError):
            os.killpg(child, number)
        os._exit(1)

    before = {number: signal.signal(number, stop) or signal.SIG_DFL for number in STOP}
    status = os.waitpid(child, 0)[1]
    for number, handler in before.items():
        signal.signal(number, handler)
    return status


if run_in_child():
    sys.exit(1)
