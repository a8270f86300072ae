"""What the tests of models share."""

import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def unprivileged():
    """The directory of an ordinary user, as whom the test runs: root may read everything."""
    os.seteuid(os.geteuid() or 65534)
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)
    os.seteuid(os.getuid())
