"""Check the settings and the model's files before any worker exists; ``uwsgi.ini`` imports this file by its path.

The check runs in a child: what the master imported, every worker would inherit, and a rolling reload could not renew.
"""

import os
import sys


def check() -> int:
    """Return 0 if the service can start, else 1 after printing why."""
    from service import models
    from service.errors import StartError
    from service.settings import Settings

    try:
        settings = Settings.from_env()
        source = models.prepare(settings)
    except StartError as error:
        print(f"the service cannot start: {error}", file=sys.stderr, flush=True)
        return 1
    address = settings.socket or f"http://{settings.http}"
    print(f"serving {source.name} with {settings.workers} workers on {address}", file=sys.stderr, flush=True)
    return 0


child = os.fork()
if child == 0:
    os._exit(check())
if os.waitpid(child, 0)[1]:
    sys.exit(1)
