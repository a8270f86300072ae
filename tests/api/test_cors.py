"""Pages of other origins, if EMBED_CORS_ORIGINS names some."""

import pytest

from service import keys
from service.app import create_app
from service.settings import Settings

PAGE = "https://app.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}


@pytest.fixture
def open_to(model, tmp_path):
    """The client of an app with keys, and these origins."""
    apps = []
    keys.create(str(tmp_path / "keys"), "search", None)

    def open_to(origins):
        settings = Settings.from_env({"EMBED_CORS_ORIGINS": origins, "EMBED_API_KEYS_FILE": str(tmp_path / "keys")})
        apps.append(create_app(settings, model))
        return apps[-1].test_client()

    yield open_to
    for app in apps:
        app.extensions["engines"]().close()


@pytest.mark.parametrize("path", ["/v1/embeddings", "/nowhere"])
def test_a_preflight_needs_no_key(open_to, path):
    answer = open_to(PAGE).options(path, headers={"Origin": PAGE} | PREFLIGHT)

    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-stainless-os"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE"
    assert answer.headers["Vary"] == "Origin"


def test_odd_headers_are_not_sent_back(open_to):
    odd = PREFLIGHT | {"Access-Control-Request-Headers": "a: b"}
    answer = open_to(PAGE).options("/v1/embeddings", headers={"Origin": PAGE} | odd)

    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, api-key, Content-Type"


def test_a_page_may_read_a_refusal(open_to):
    answer = open_to(f"http://localhost:3000, {PAGE.upper()}").post("/v1/embeddings", headers={"Origin": PAGE})

    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_a_page_may_read_a_refusal_at_the_door(model):
    app = create_app(Settings(cors_origins="*", threads=2), model)
    app.extensions["engines"]().admission.hold(0)
    answer = app.test_client().post("/v1/embeddings", json={"input": "a"}, headers={"Origin": PAGE})
    app.extensions["engines"]().close()

    assert answer.status_code == 429
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("origin", ["https://app.example.com.evil.org", "http://app.example.com", "null", "*", ""])
def test_another_origin_is_told_nothing(open_to, origin):
    client = open_to(PAGE)
    answers = [client.get("/livez", headers={"Origin": origin}), client.options("/embed", headers=PREFLIGHT)]

    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)
    assert [answer.headers["Vary"] for answer in answers] == ["Origin"] * 2


def test_a_star_stands_for_every_origin(open_to):
    answer = open_to("*").get("/livez", headers={"Origin": "null"})

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in answer.headers


def test_without_the_setting_there_are_no_such_headers(client):
    answers = [client.get("/livez", headers={"Origin": PAGE}), client.options("/embed", headers=PREFLIGHT)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(name.startswith("Access-Control") for answer in answers for name, _ in answer.headers)
