import re


def test_a_process_with_a_model_is_alive_and_ready(client):
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json == client.get("/health").json == {"status": "ready", "model": "fake"}


def test_without_its_batcher_the_process_is_alive_but_not_ready(client, app):
    app.extensions["engines"]().close()

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_a_process_without_uwsgi_shows_its_own_metrics(client):
    client.post("/v1/embeddings", json={"input": ["abc", "d"]})
    text = client.get("/metrics").text

    assert 'embeddings_requests_total{model="fake",route="/v1/embeddings",status="200"} 1.0' in text
    assert 'embeddings_tokens_total{model="fake"} 4.0' in text
    assert 'embeddings_request_phase_seconds_count{phase="serialize"} 1.0' in text
    assert "embeddings_batch_texts_sum 4.0" in text  # two of them when the engine was calibrated


def test_an_unknown_path_adds_no_series(client):
    for path in ("/nowhere", "/other", "/v1/models/a", "/v1/models/b"):
        client.get(path)
    routes = set(re.findall(r'requests_total{.*route="(.*?)"', client.get("/metrics").text))

    assert routes == {"other", "/v1/models/<path:name>"}


def test_a_method_that_a_route_lacks_is_counted_too(client):
    client.get("/embed")

    assert 'route="other",status="405"} 1.0' in client.get("/metrics").text
