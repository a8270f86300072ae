import time

import pytest


@pytest.fixture
def engine(app):
    return app.extensions["engines"]().find()


def embed(client, **headers):
    return client.post(
        "/v1/embeddings",
        json={"input": "a"},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


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
    assert embed(client, X_Request_Timeout="600", X_Request_Start=start).status_code == 200


def test_bulk_work_is_marked_by_a_header(client, engine):
    seen, embed_texts = [], engine.embed
    engine.embed = lambda *args, bulk: seen.append(bulk) or embed_texts(*args, bulk=bulk)

    assert embed(client, X_Priority="bulk").status_code == 200
    assert embed(client).status_code == 200
    assert seen == [True, False]
    assert embed(client, X_Priority="high").status_code == 400
