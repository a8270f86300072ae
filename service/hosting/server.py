"""The server of this process, whichever it is: does it fork, and how many processes share the cores?"""

from collections.abc import Callable

from service.hosting import gunicorn, stack, uwsgi

#: What to tell whoever starts a server so that the app is imported before the fork.
ADVICE = (
    "Let each worker import the app instead (uWSGI: lazy-apps = true; gunicorn: no --preload), "
    "so that a reload brings new code too"
)


def will_fork() -> bool:
    """Tell whether the server is going to fork this process for its workers, as far as that can be seen from here."""
    return uwsgi.will_fork() if uwsgi.is_present() else gunicorn.is_arbiter()


def after_fork(load: Callable[[], None]) -> None:
    """Call ``load`` once in each worker that the server forks off this process, before it serves."""
    if uwsgi.is_present():
        uwsgi.after_fork(load)
    else:
        gunicorn.after_fork(load)


def worker_count() -> int:
    """Return how many processes share the cores; 0 if this server does not tell."""
    if uwsgi.is_present():
        return uwsgi.worker_count()
    return gunicorn.worker_count() or _uvicorn_workers()


def _uvicorn_workers() -> int:
    """Read ``--workers`` in a process that uvicorn has spawned."""
    call = stack.find_call("uvicorn._subprocess", "subprocess_started")
    return int(call["config"].workers) if call else 0
