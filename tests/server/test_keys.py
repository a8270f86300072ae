"""API keys of a running service."""

import openai
import pytest
import requests

from service import keys

pytestmark = [pytest.mark.server, pytest.mark.model]


def client(service, key):
    return openai.OpenAI(base_url=service.url + "/v1", api_key=key, max_retries=0)


def test_the_official_client_needs_a_key(start, tmp_path):
    key = keys.create(str(tmp_path / "keys"), "search", None)
    service = start(api_keys_file=tmp_path / "keys").wait_until_ready()

    assert client(service, key).embeddings.create(model="any", input="a text").data
    with pytest.raises(openai.AuthenticationError) as refusal:
        client(service, "emb_wrong").embeddings.create(model="any", input="a text")
    assert (refusal.value.type, refusal.value.code) == ("authentication_error", "invalid_api_key")
    assert requests.get(service.url + "/readyz", timeout=60).status_code == 200
    assert "emb_" not in service.log


def test_a_running_service_takes_and_withdraws_keys(start, tmp_path):
    """In each of its workers."""
    path = tmp_path / "keys"
    keys.create(str(path), "first", None)
    service = start(api_keys_file=path, workers=2).wait_until_ready(2)
    key = keys.create(str(path), "second", None)

    def statuses():
        headers = {"Authorization": f"Bearer {key}"}
        return {requests.get(service.url + "/v1/models", headers=headers, timeout=60).status_code for _ in range(20)}

    service.wait_for(lambda: statuses() == {200})
    path.write_text(path.read_text().splitlines()[0])
    service.wait_for(lambda: statuses() == {401})


def test_a_limit_holds_for_the_official_client(start, tmp_path):
    key = keys.create(str(tmp_path / "keys"), "small", 5)
    service = start(api_keys_file=tmp_path / "keys").wait_until_ready()
    client(service, key).embeddings.create(model="any", input="a text of more than five tokens " * 20)

    with pytest.raises(openai.RateLimitError, match="has used its 5 tokens a minute"):
        client(service, key).embeddings.create(model="any", input="a text")


def test_a_broken_file_of_keys_ends_the_instance_with_one_line(start, tmp_path):
    (tmp_path / "keys").write_text("emb_the-key-itself\n")
    service = start(api_keys_file=tmp_path / "keys")

    assert service.exit_code() == 1
    assert "the service cannot start: EMBED_API_KEYS_FILE: line 1 is not NAME SHA256HEX" in service.log
    assert "the-key-itself" not in service.log
