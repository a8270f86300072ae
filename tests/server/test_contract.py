"""Requests that schemathesis makes of the document, sent to the real service: it keeps to what the document says."""

import json
import os
import subprocess

import pytest
import requests

from launchers.process import BIN
from tests import programs

pytestmark = [pytest.mark.server, pytest.mark.model]

#: No 5xx, no status, type, header or body that is not in the document, and a 405 for methods that are not.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance"
)

#: 504 is what a tiny X-Request-Timeout asks for.
CONFIGURATION = '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 504]\n'

#: `make test-contract` asks for more; the phase `coverage` makes some hundred beside them.
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "20"))
PHASES = "examples,fuzzing" if EXAMPLES < 1000 else "examples,coverage,fuzzing"


@pytest.fixture
def schemathesis():
    path = BIN / "schemathesis"
    if not path.exists():
        programs.skip("needs schemathesis, of the extra test")
    return path


def test_requests_are_answered_as_the_document_says(schemathesis, service, tmp_path):
    url, workers = f"{service.url}/openapi.json", service.workers()
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    operations = sum(map(len, requests.get(url, timeout=60).json()["paths"].values()))
    command = [schemathesis, "run", url, "--checks", CHECKS, "--phases", PHASES, "--no-color"]
    command += ["--max-examples", str(EXAMPLES // operations + 1), "--generation-database", "none"]
    command += ["--request-timeout", "300", "--report", "json", "--report-json-path", tmp_path / "report.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["operations"]["tested"] == operations
    assert report["test_cases"]["generated"] >= EXAMPLES
    assert service.workers() == workers
