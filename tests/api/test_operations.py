def test_a_process_with_a_model_is_alive_and_ready(client):
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json == {"status": "ready", "model": "fake"}


def test_without_its_batcher_the_process_is_alive_but_not_ready(client, app):
    app.extensions["engine"]().close()

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_without_uwsgi_the_metrics_answer_says_why_not(client):
    answer = client.get("/metrics")

    assert answer.status_code == 501
    assert "uWSGI's master" in answer.json["message"]
