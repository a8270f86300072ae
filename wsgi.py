"""The WSGI application. Importing this loads the model: only the process that serves may do it."""

import os
import sys
import traceback

try:
    from service import create_app
    from service.hosting import per_process, systemd
except Exception:
    # A release that cannot be imported. uWSGI's need-app ends the whole instance on this exception, as it should at the
    # first start; a worker that follows another exits alone and is tried again, while the others go on serving.
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None or not uwsgi.workers()[uwsgi.worker_id() - 1]["respawn_count"]:
        raise
    traceback.print_exc()
    os._exit(1)

systemd.set_up_logging()
with per_process.loading():
    app = create_app()
systemd.say_ready("answering requests")
