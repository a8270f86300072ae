"""Every way to start the app, as a command line, with the claim of the notes about it."""

import shlex
from typing import NamedTuple

from launchers.process import BIN


class Launcher(NamedTuple):
    """A way to start an app of ``launchers.apps``; the ``claim`` of the notes is "works", "fails" or empty."""

    name: str
    command: str
    claim: str = ""

    def words(self, port: int) -> list[str]:
        """Return the command line, with the path of the program."""
        program, *rest = shlex.split(self.command.format(port=port, address=f"127.0.0.1:{port}"))
        return [str(BIN / program), *rest]


UWSGI = "uwsgi --http-socket {address} --need-app --pythonpath . --module launchers.apps:app --threads 4 "
GUNICORN = "gunicorn -b {address} launchers.apps:app "
UVICORN = "uvicorn --port {port} launchers.apps:asgi "
FLASK = "flask --app launchers.apps:app run --port {port} "
PROCESSES = "python -m launchers.processes "

LAUNCHERS = [
    Launcher("uwsgi -p 1", UWSGI + "-p 1", "works"),
    Launcher("uwsgi -p 2", UWSGI + "-p 2", "fails"),
    Launcher("uwsgi --master -p 1", UWSGI + "--master -p 1", "fails"),
    Launcher("uwsgi --master -p 4", UWSGI + "--master -p 4", "fails"),
    Launcher("uwsgi --master --lazy -p 2", UWSGI + "--master -p 2 --lazy"),
    Launcher("uwsgi --master --lazy-apps -p 2", UWSGI + "--master -p 2 --lazy-apps"),
    Launcher("gunicorn -w 1", GUNICORN + "-w 1", "works"),
    Launcher("gunicorn -w 4", GUNICORN + "-w 4", "fails"),
    Launcher("gunicorn -w 4 --preload", GUNICORN + "-w 4 --preload"),
    Launcher("gunicorn -w 2 -k gthread", GUNICORN + "-w 2 -k gthread --threads 4"),
    Launcher("gunicorn in a program", "python -m launchers.program {port}"),
    Launcher("uvicorn --workers 1", UVICORN),
    Launcher("uvicorn --workers 4", UVICORN + "--workers 4", "works"),
    Launcher("uvicorn --interface wsgi", UVICORN.replace("asgi", "app") + "--interface wsgi --workers 2"),
    Launcher("flask run", FLASK),
    Launcher("flask run --debug", FLASK + "--debug"),
    Launcher("waitress", "waitress-serve --threads 4 --listen={address} launchers.apps:app"),
    Launcher("multiprocessing, fork", PROCESSES + "fork {port}"),
    Launcher("multiprocessing, spawn", PROCESSES + "spawn {port}"),
    Launcher("multiprocessing, forkserver", PROCESSES + "forkserver {port}"),
]
