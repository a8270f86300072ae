"""The steps of a worker's start, as it notes them for the page."""

from pathlib import Path

from service.hosting import steps, uwsgi


def test_steps_that_cannot_be_written_do_not_stop_a_start(monkeypatch):
    monkeypatch.setattr(steps, "_seconds", {})
    monkeypatch.setattr(uwsgi, "worker_file", lambda _: Path("/dev/full"))

    steps.note("began")

    assert steps.read(None, 1, 0).keys() == {"began"}
