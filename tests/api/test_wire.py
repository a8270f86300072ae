import time

import pytest

from service.errors import Overloaded


@pytest.fixture
def engine(app):
    return app.extensions["engine"]()


@pytest.fixture
def admission(engine):
    return engine.admission


def embed(client, **headers):
    return client.post(
        "/v1/embeddings",
        json={"input": "a"},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def test_an_overloaded_service_says_when_to_come_back(client, admission):
    def refuse(_):
        raise Overloaded("too much waits", 7)

    admission.hold = refuse
    answer = embed(client)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "7"
    assert answer.json["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("body", [{"input": "a"}, {"input": 3}], ids=["right", "wrong"])
def test_a_request_is_held_until_its_answer_is_sent(client, admission, body):
    with client.post("/v1/embeddings", json=body, buffered=False):
        assert admission._requests == 1
    assert admission._requests == 0
    assert admission._bytes == 0


def test_a_refused_request_is_not_counted(client, admission):
    held = [admission.hold(0) for _ in range(56)]
    assert embed(client).status_code == 429
    assert admission._requests == len(held)


def test_reading_the_models_needs_no_room(client, admission):
    for _ in range(56):
        admission.hold(0)

    assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize("given", ["soon", "-1", "0", "1e9", "nan", "1" * 400])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(client, given):
    answer = embed(client, X_Request_Timeout=given)

    assert answer.status_code == 400
    assert "X-Request-Timeout" in answer.json["message"]


def test_a_request_that_came_long_ago_has_less_time(client):
    answer = embed(client, X_Request_Timeout="5", X_Request_Start=f"t={time.time() - 10:.3f}")

    assert answer.status_code == 504


@pytest.mark.parametrize("start", ["now", "t=-1", "t=0.000", "t=99999999999.9"])
def test_a_start_that_cannot_be_right_is_ignored(client, start):
    assert embed(client, X_Request_Timeout="5", X_Request_Start=start).status_code == 200


def test_bulk_work_is_marked_by_a_header(client, engine):
    seen, embed_texts = [], engine.embed
    engine.embed = lambda *args, bulk: seen.append(bulk) or embed_texts(*args, bulk=bulk)

    assert embed(client, X_Priority="bulk").status_code == 200
    assert embed(client).status_code == 200
    assert seen == [True, False]
    assert embed(client, X_Priority="high").status_code == 400
