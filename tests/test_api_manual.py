"""docs/api.md shows what the service answers."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.programs import program

MANUAL = (Path(__file__).parent.parent / "docs/api.md").read_text()
EXAMPLES = re.findall(r"```sh\n(curl .*?)```\n\n```json\n(.*?)```", MANUAL, re.DOTALL)

#: Other CPUs compute in bfloat16.
TOLERANCE = 0.02


def agrees(shown, answered):
    """Tell whether an answer has all that is shown, and may have more members."""
    if isinstance(shown, dict):
        return all(name in answered and agrees(value, answered[name]) for name, value in shown.items())
    if isinstance(shown, list):
        return len(shown) == len(answered) and all(map(agrees, shown, answered))
    return shown == pytest.approx(answered, abs=TOLERANCE) if isinstance(shown, float) else shown == answered


@pytest.mark.server
@pytest.mark.model
@pytest.mark.parametrize(("curl", "shown"), EXAMPLES, ids=lambda each: each.partition("5000")[2].partition(" ")[0])
def test_a_curl_prints_what_the_manual_shows(service, curl, shown):
    arguments = shlex.split(curl.replace("http://127.0.0.1:5000", service.url))[1:]
    answer = subprocess.run([program("curl"), *arguments], capture_output=True, check=True).stdout

    assert agrees(json.loads(shown), json.loads(answer))


def test_the_manual_shows_examples():
    assert len(EXAMPLES) > 1
