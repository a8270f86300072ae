import pytest

from service.app import create_app
from service.settings import Settings


def test_the_model_and_the_limits_are_told_as_by_tei(client):
    assert client.get("/info").json | {"version": ""} == {
        "model_id": "fake",
        "model_sha": "c0ffee",
        "model_dtype": "float32",
        "served_model_name": "fake",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_concurrent_requests": 56,
        "max_input_length": None,
        "max_batch_tokens": 100,
        "max_batch_requests": None,
        "max_client_batch_size": 2048,
        "auto_truncate": True,
        "tokenization_workers": None,
        "version": "",
        "sha": None,
        "docker_label": None,
        "fingerprint": "fa" * 32,
        "backend": "torch",
        "dimensions": 4,
        "prompts": {"query": "query: "},
        "default_prompt": None,
        "reranker": None,
    }


@pytest.mark.parametrize(("ours", "theirs"), [("cls", "cls"), ("lasttoken", "last_token"), ("", "mean")])
def test_a_pooling_has_teis_name(client, model, ours, theirs):
    model.pooling = ours

    assert client.get("/info").json["model_type"] == {"embedding": {"pooling": theirs}}


def test_settings_are_told(model):
    app = create_app(Settings(truncate="off", max_inputs=8, max_batch_tokens=64), model)
    info = app.test_client().get("/info").json
    app.extensions["engines"]().close()

    assert (info["auto_truncate"], info["max_client_batch_size"], info["max_batch_tokens"]) == (False, 8, 64)
