"""gunicorn inside a program, as its documentation shows: ``python -m launchers.program PORT``."""

import sys
from typing import Any

from gunicorn.app.base import BaseApplication

from launchers.apps import app  # before the fork, as people do


class Program(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """A server with two workers."""

    def load_config(self) -> None:
        """Set the address and the workers, in place of a command line."""
        self.cfg.set("bind", f"127.0.0.1:{sys.argv[1]}")
        self.cfg.set("workers", 2)

    def load(self) -> Any:
        """Return the app, which is already imported."""
        return app


if __name__ == "__main__":
    Program().run()
