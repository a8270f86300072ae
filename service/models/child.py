"""The process that builds an artifact: ``python -m service export``, run and followed."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

from service.errors import ModelUnusable
from service.models.artifact import Artifact

log = logging.getLogger(__name__)


def run_export(artifact: Artifact) -> None:
    """Build ``artifact`` in a child process that ends with this one, and pass on what it logs.

    Raises:
        ModelUnusable: the child failed; its last line is the message.
    """
    python = sys.executable if "python" in Path(sys.executable).name else f"{sys.prefix}/bin/python"  # or it is uWSGI
    name = f"--name={artifact.source.name}".encode()  # any locale
    paths = [f"--model={artifact.source.directory}", f"--cache-dir={artifact.cache}"]
    command: list[str | bytes] = [python, "-m", "service", "export", name, *paths, "--attached"]
    environ = os.environ | {"PYTHONUTF8": "1", "EMBED_LOG_FORMAT": "json"}
    root = Path(__file__).parent.parent.parent
    last = Line(logging.INFO, "")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, env=environ, encoding="utf-8", errors="replace", **pipes) as process:  # noqa: S603
        assert process.stderr is not None
        for line in process.stderr:
            last.relay()
            last = Line.parse(line.rstrip())
        process.wait()  # before its standard input is closed, which would end it
    if process.returncode:
        raise ModelUnusable(_explain(process.returncode, last))
    last.relay()


class Line(NamedTuple):
    """A line of the child's log."""

    level: int
    message: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line of our own, or a warning that a library wrote."""
        try:
            entry = json.loads(line)
            return cls(logging.getLevelNamesMapping()[entry["level"].upper()], entry["message"])
        except (ValueError, TypeError, KeyError):
            return cls(logging.WARNING, line)

    def relay(self) -> None:
        """Log it in this process."""
        if self.message:
            log.log(self.level, "%s", self.message)


def _explain(status: int, last: Line) -> str:
    if last.level == logging.ERROR:
        return last.message
    end = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    hint = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
    return f"the export {end}{hint}; its last line was: {last.message}"
