"""Real clients ask the real service: what they return is what a plain request gets.

Each folder beside this file has the programs of clients that can be installed together; ``make test-clients`` makes an
environment for it. A test calls one function of a program, whose name begins with what it returns.
"""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import requests

from service import keys
from service.api import cl100k
from tests.clients.client import Client
from tests.server.processes import Service

pytestmark = [pytest.mark.clients, pytest.mark.server, pytest.mark.model]

HERE = Path(__file__).parent

#: More than the clients that send ten at a time send; the last is longer than the model reads.
TEXTS = [
    "A cat sleeps on the warm windowsill.",
    "你好,世界",
    "Die Katze schläft auf der Fensterbank.",
    "To change your password, open the settings and choose Security.",
    "Rain is expected in the north tomorrow.",
    "a",
    "👍 fine",
    "The recipe needs two eggs and some flour.",
    "  leading and trailing spaces  ",
    "Passwords are stored as salted hashes.",
    "SELECT name FROM users WHERE id = 1;",
    "忘记密码怎么办?请点击“找回密码”。",
    "The train to Lyon leaves at nine. " * 60,
]
QUERY = "How do I reset my password?"


def cases(prefix):
    """List the functions of all programs whose name begins so, as ``FOLDER/PROGRAM FUNCTION``."""
    paths = sorted([*HERE.glob("*/*.py"), *HERE.glob("*/*.cjs")])
    return [
        f"{path.parent.name}/{path.name} {name}"
        for path in paths
        for name in re.findall(rf"^(?:def |exports\.)({prefix}\w*)", path.read_text(), re.MULTILINE)
    ]


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys"
    return path, keys.create(str(path), "clients", None)


@pytest.fixture(scope="module")
def service(tmp_path_factory, key):
    """It wants a key, because clients differ in how they send it."""
    directory = tmp_path_factory.mktemp("clients")
    service = Service(directory, cache_dir=directory, dtype="float32", api_keys_file=key[0])
    yield service.wait_until_ready()
    service.kill()


@pytest.fixture(scope="module")
def expected(service, key):
    """The vectors of TEXTS and, last, of QUERY."""
    headers, body = {"Authorization": f"Bearer {key[1]}"}, {"input": [*TEXTS, QUERY]}
    answer = requests.post(f"{service.url}/v1/embeddings", json=body, headers=headers, timeout=300)
    return np.array([each["embedding"] for each in answer.json()["data"]])


@pytest.fixture(scope="module")
def similarities(expected):
    return expected[:-1] @ expected[-1]


@pytest.fixture(scope="module")
def tiktoken_cache(tmp_path_factory):
    """Without the vocabulary in this directory tiktoken would download it."""
    directory = tmp_path_factory.mktemp("tiktoken")
    for path in cl100k._places({}):
        (directory / cl100k.CACHED_AS).write_bytes(gzip.decompress(path.read_bytes()))
    return directory


@pytest.fixture(scope="module")
def clients():
    """The programs that run, by their name."""
    clients = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def call(service, key, clients, tiktoken_cache, tmp_path):
    """Return what ``FOLDER/PROGRAM FUNCTION`` returns; it gets the service's address, a key and the arguments."""

    def call(case, *arguments):
        program, function = case.split()
        if program not in clients:
            clients[program] = Client(program, tmp_path / "log", TIKTOKEN_CACHE_DIR=str(tiktoken_cache))
        return clients[program].call(function, service.url, key[1], *arguments)

    return call


@pytest.mark.parametrize("case", cases("embed(?!_raw)"))
def test_a_client_gets_the_vectors_of_its_texts(call, expected, case):
    assert np.array(call(case, TEXTS)) == pytest.approx(expected[:-1], abs=1e-4)


@pytest.mark.parametrize("case", cases("embed_raw"))
def test_a_client_gets_vectors_of_their_own_length(call, expected, case):
    vectors = np.array(call(case, TEXTS))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)

    assert (abs(lengths - 1) > 0.01).all()
    assert vectors / lengths == pytest.approx(expected[:-1], abs=1e-4)


@pytest.mark.parametrize("case", cases("rerank"))
def test_a_client_gets_the_best_texts_first(call, similarities, case):
    ranking = call(case, QUERY, TEXTS)
    indices, scores = zip(*ranking, strict=True)

    assert list(indices) == list(np.argsort(-similarities))[: len(ranking)]
    assert sorted(scores, reverse=True) == list(scores)
    assert 0 <= min(scores) <= max(scores) <= 1
    assert len(ranking) == (3 if case.endswith("the_best") else len(TEXTS))


@pytest.mark.parametrize("case", cases("compare"))
def test_a_client_gets_the_similarity_of_each_text(call, similarities, case):
    assert call(case, QUERY, TEXTS) == pytest.approx(similarities, abs=1e-4)


@pytest.mark.parametrize("case", cases("find_model"))
def test_a_client_finds_the_model(call, case):
    assert call(case) == "all-MiniLM-L6-v2"


def test_openai_says_what_to_mend(call):
    kind, member, message = call("openai/openai.py complain")

    assert (kind, member) == ("invalid_request_error", "input")
    assert "send at least one text" in message


def test_litellm_knows_a_bad_request_as_one(call):
    assert call("litellm/litellm.py complain") == "BadRequestError"
