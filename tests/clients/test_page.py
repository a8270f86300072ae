"""The programs that the page offers to copy run, each in the environment of its client."""

import json
import os
import re
import subprocess

import numpy as np
import pytest

from service import keys
from tests.clients.client import OFFLINE, find
from tests.server.browser import launch
from tests.server.processes import Service

pytestmark = [pytest.mark.clients, pytest.mark.server, pytest.mark.model]

TEXTS = ['It\'s a "text" for 5 $', "你好 \N{UNICORN FACE}"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a service that wants a key, with a text of each kind in it."""
    directory = tmp_path_factory.mktemp("page")
    key = keys.create(str(directory / "keys"), "clients", None)
    service = Service(directory, cache_dir=directory, api_keys_file=directory / "keys").wait_until_ready()
    with launch() as browser:
        page = browser.open_bare(service.url)
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#model option", state="attached")
        page.fill("#texts", "\n".join(TEXTS))
        page.fill("#dimensions", "8")
        page.key = key
        yield page
    service.kill()


def run(page, client, output="float"):
    """Return how many vectors the program of a client got, and what it prints of the first."""
    page.select_option("#output", output)
    page.select_option("#client", client)
    snippet = page.inner_text("#snippet")
    assert page.key not in snippet
    if client == "openai-node":
        environment = find("node")
        command = [environment / "bin/node", "--input-type=module", "-e", snippet]
    else:
        environment = find("langchain")
        command = [environment / "bin/python", "-P", "-c", snippet]
    variables = os.environ | OFFLINE | {"EMBEDDINGS_KEY": page.key, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=environment, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, printed = done.stdout.split(maxsplit=1)
    return int(count), printed.strip()


def ask(page, **members):
    """Return the beginning of the first vector as a plain request gets it."""
    headers = {"Authorization": f"Bearer {page.key}"}
    body = {"input": TEXTS, "dimensions": 8, **members}
    answer = page.request.post(
        page.evaluate("new URL('v1/embeddings', location.href).href"), headers=headers, data=body
    )
    return answer.json()["data"][0]["embedding"][:4]


@pytest.mark.parametrize("client", ["openai-python", "openai-node", "LangChain"])
def test_a_program_gets_the_vectors(page, client):
    count, printed = run(page, client)

    assert count == len(TEXTS)
    assert np.allclose(json.loads(printed), ask(page), atol=1e-3)


@pytest.mark.parametrize("client", ["openai-python", "openai-node"])
def test_a_program_gets_whole_numbers(page, client):
    assert json.loads(run(page, client, "int8")[1]) == ask(page, output_dtype="int8")


@pytest.mark.parametrize("client", ["openai-python", "openai-node"])
def test_a_program_gets_base64(page, client):
    count, printed = run(page, client, "base64")

    assert count == len(TEXTS)
    assert re.fullmatch(r"[\w+/]{4}", printed)
