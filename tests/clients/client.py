"""A client's program as a process of the environment that its folder names."""

import json
import os
import subprocess
import threading
from pathlib import Path

from tests import programs
from tests.server.processes import ROOT

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".venv-clients"

#: A client that has not answered by then hangs.
TIMEOUT_SECONDS = 300

#: The clients reach this machine alone; some would send statistics or ask for lists of models.
OFFLINE = {
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
}


class Client:
    """A running program, such as ``openai/openai.py``; ``log`` gets what it prints."""

    def __init__(self, program: str, log: Path, **variables: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                self._command(HERE / program),
                env=os.environ | OFFLINE | {"NODE_PATH": f"{ENVIRONMENTS}/node/node_modules"} | variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def call(self, function, *arguments):
        """Return what a function of the program returns; fail with what it raises."""
        timer = threading.Timer(TIMEOUT_SECONDS, self._process.kill)
        timer.start()
        try:
            print(json.dumps([function, *arguments]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"the program ended:\n{self._log.read_text()}"
        answer = json.loads(line)
        assert "raised" not in answer, answer["raised"]
        return answer["returned"]

    def close(self):
        self._process.kill()
        self._process.communicate()

    @staticmethod
    def _command(program: Path) -> list[str | Path]:
        environment = find(program.parent.name)
        if program.suffix == ".cjs":
            return [environment / "bin/node", HERE / "node/runner.cjs", program]
        return [environment / "bin/python", "-P", HERE / "runner.py", program]


def find(name: str) -> Path:
    """Return an environment; skip the test where it is not installed."""
    environment = ENVIRONMENTS / name
    if not (environment / ".installed").exists():
        programs.skip(f"needs {environment}; run make test-clients")
    return environment
