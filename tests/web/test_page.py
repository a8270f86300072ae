"""What the page is made of, and what it asks for; tests/server/test_page.py uses it in a browser."""

import hashlib
import json
import re
import sys
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest

from service import keys
from service.app import create_app
from service.settings import Settings
from service.web import page
from tests.fakes import FakeModel

STATIC = Path(__file__).parents[2] / "service/web/static"
OWN = [path for path in STATIC.rglob("*.*") if "vendor" not in path.parts]

#: What docs/forking.md says where the page says that a launcher fails.
VERDICTS = {"half": "**fails for 2 of 4: error 500**", "all": "**error 500**"}

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def words(language):
    return json.loads((STATIC / f"locales/{language}.json").read_text())


def get(client, language="en"):
    return client.get("/", headers=BROWSER | {"Accept-Language": language})


def test_a_browser_gets_the_page_and_a_probe_the_state(client):
    assert get(client).mimetype == "text/html"
    assert client.get("/", headers={"Accept": "*/*"}).json == {"status": "ready", "model": "fake"}
    assert set(get(client).vary) == {"Accept", "Accept-Language"}


@pytest.mark.parametrize(
    ("asked", "language"), [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB", "en"), ("fr", "en"), ("", "en")]
)
def test_the_page_comes_in_the_language_of_the_browser(client, asked, language):
    text = get(client, asked).text

    assert f'<html lang="{language}">' in text
    assert words(language)["embed"] in text


def test_every_word_is_there_in_both_languages(client):
    source = "".join(path.read_text() for path in OWN if path.suffix in {".html", ".js"})
    asked = set(re.findall(r'data-say="([\w.]+)"|\bsay\("([\w.]+)"', source))

    assert words("en").keys() == words("zh").keys()
    assert {one or other for one, other in asked} <= words("en").keys()
    assert 'data-say="embed">Embed</' in get(client).text


def test_what_the_page_loads_is_there_and_is_kept_for_a_year(client):
    urls = re.findall(r'(?:src|href)="(web/.+?)"', get(client).text)
    prefix = urls[0].rpartition("/")[0]
    urls += [f"{prefix}/{path.relative_to(STATIC)}" for path in STATIC.rglob("*") if path.is_file()]
    answers = [client.get(f"/{url}") for url in urls]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"public, max-age=31536000, immutable"}


def test_a_file_of_another_release_is_not_kept(client):
    assert client.get("/web/0123456789abcdef/main.js").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["../page.py", "nothing.js", "%2e%2e/page.py", "locales", "docs/operations.md"])
def test_other_files_are_not_served(client, name):
    assert client.get(f"/web/x/{name}").status_code == 404


def test_nothing_but_its_own_files_may_run(client):
    for answer in (get(client), client.get("/web/x/main.js")):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';")
    assert re.findall(r"https?:|<script>|style=| on\w+=", get(client).text) == []


def test_the_policy_allows_the_style_that_is_in_the_page(client):
    (style,) = re.findall(r"<style>(.*)</style>", get(client).text, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in get(client).headers["Content-Security-Policy"]


def test_its_own_files_are_less_than_100_kilobytes():
    assert sum(path.stat().st_size for path in OWN) < 100_000


def test_a_module_has_at_most_250_lines():
    assert [path.name for path in OWN if path.suffix == ".js" and len(path.read_text().splitlines()) > 250] == []


def test_the_launchers_do_what_the_document_says():
    document = (STATIC.parents[2] / "docs/forking.md").read_text()
    tried = dict(re.findall(r"^\| `([^`]+)` \| (.+? / .+?) \|", document, re.MULTILINE))
    importers = {"each_worker": "each worker", "only_process": "each worker"}

    row = r'<tr><th><code>(.+)</code><td data-say="(.+)"></td><td data-say="(.+)"></td>'
    rows = re.findall(row, (STATIC / "index.html").read_text())
    assert len(rows) == 9
    for command, importer, result in rows:
        assert tried[command].startswith(importers.get(importer, "1 before the fork")), command
        assert tried[command].endswith(VERDICTS.get(result, "**works**")), command


def test_vectors_become_points(client):
    answer = client.post("/web/map", json={"vectors": [[1, 0], [-1, 0], [0, 0]]})

    assert np.allclose(np.abs(answer.json["points"]), [[1, 0], [1, 0], [0, 0]])
    assert answer.json["explained"] == [1, 0]


@pytest.mark.parametrize("vectors", [[], ["?"], [[]], [[1], [1, 2]], [[None]], [[3e38]], [[1]] * 51])
def test_what_is_no_list_of_vectors_is_refused(client, vectors):
    answer = client.post("/web/map", json={"vectors": vectors})

    assert answer.status_code == 400
    assert answer.json["error"]["param"].startswith("vectors")


def test_the_map_takes_as_many_texts_as_the_page_compares():
    assert f"const MAX_TEXTS = {page.MAX_VECTORS};" in (STATIC / "texts.js").read_text()


@pytest.mark.parametrize(
    ("vectors", "status"), [("1," * 8191 + "1", 200), ("1," * 8192 + "1", 400), (" " * page.MAX_MAP_BYTES, 413)]
)
def test_a_vector_that_no_model_makes_is_refused(vectors, status):
    app = create_app(Settings(), FakeModel())
    answer = app.test_client().post("/web/map", data=f'{{"vectors": [[{vectors}]]}}')

    assert answer.status_code == status
    assert status == 200 or answer.json["message"]
    app.extensions["engines"]().close()


def test_the_models_are_described(client):
    (model,) = client.get("/web/models").json["models"]

    assert (model["name"], model["cosine"], model["dimensions"], model["aliases"]) == ("fake", 0.9999, 4, [])
    assert client.get("/web/models").json["limits"]["max_inputs"] == 2048
    assert client.get("/web/models").json["limits"]["reranker"] is None


def test_a_process_alone_shows_its_own_state(client):
    client.post("/v1/embeddings", json={"input": ["abc", "d"]})
    client.get("/web/state")
    state = client.get("/web/state").json
    (worker,) = state["workers"]

    assert (worker["state"], worker["tokens"], worker["requests"], state["seconds"]["+Inf"]) == ("ready", 4, 1, 1)
    assert worker["started"] < worker["steps"]["imported"] <= worker["steps"]["loaded"] <= state["now"]


def test_the_setting_removes_the_page():
    app = create_app(Settings(web="off"), FakeModel())
    client = app.test_client()

    assert get(client).json == {"status": "ready", "model": "fake"}
    assert client.get("/web/state").status_code == client.get("/web/x/main.js").status_code == 404
    app.extensions["engines"]().close()


def test_the_page_takes_no_part_in_a_request_for_vectors(client):
    files = set()
    sys.setprofile(lambda frame, *_: files.add(frame.f_code.co_filename))
    client.post("/v1/embeddings", json={"input": "abc"})
    sys.setprofile(None)

    assert any("service/api" in each for each in files)
    assert [each for each in files if "service/web" in each] == []


def test_with_keys_the_page_is_open_and_what_it_asks_of_models_is_not(tmp_path):
    keys.create(str(tmp_path / "keys"), "search", None)
    app = create_app(Settings(api_keys_file=str(tmp_path / "keys")), FakeModel())
    client = app.test_client()

    assert [get(client).status_code, client.get("/web/state").status_code] == [200, 200]
    assert client.get("/web/x/main.js").status_code == 200
    assert client.get("/web/models").status_code == 401
    app.extensions["engines"]().close()
