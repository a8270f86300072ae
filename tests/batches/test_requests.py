"""What is wrong with a file, before any of it is embedded."""

import pytest

from service.batches import requests
from tests.batches.conftest import request


def check(tmp_path, *lines):
    path = tmp_path / "input.jsonl"
    path.write_text("\n".join(lines))
    return requests.check(path)


def test_a_file_without_mistakes_tells_its_requests_and_model(tmp_path):
    assert check(tmp_path, request("a", "x"), "", request("b", ["y", "z"])) == (2, "fake", [])


@pytest.mark.parametrize(
    ("line", "code", "complaint"),
    [
        ("no json", "invalid_json_line", "not JSON"),
        ("[]", "invalid_json_line", "not a JSON object"),
        ('{"url": "/v1/embeddings", "method": "POST"}', "invalid_request", "required field `custom_id`"),
        (request("b", "x", url="/v1/chat/completions"), "url_mismatch", "'/v1/chat/completions': batches are for"),
        (request("a", "x"), "duplicate_custom_id", "'a' is the id of an earlier request"),
        (request("b", "x", model="other"), "model_mismatch", "'other': the requests before name 'fake'"),
    ],
)
def test_a_mistake_has_a_code_and_its_line(tmp_path, line, code, complaint):
    (mistake,) = check(tmp_path, request("a", "x"), "", line).mistakes

    assert (mistake.code, mistake.line) == (code, 3)
    assert complaint in mistake.message


def test_the_name_of_a_model_is_kept_in_part(tmp_path):
    assert check(tmp_path, request("a", "x", model="m" * 10**6)) == (1, "m" * requests.MAX_MODEL_CHARACTERS, [])


def test_an_empty_file_is_a_mistake(tmp_path):
    assert [each.code for each in check(tmp_path, "").mistakes] == ["empty_file"]


def test_there_is_a_most_of_requests_inputs_and_mistakes(tmp_path):
    many = [request(str(index), "x") for index in range(requests.MAX_REQUESTS + 1)]

    assert {each.line for each in check(tmp_path, *many).mistakes} == {requests.MAX_REQUESTS + 1}
    inputs = [request(str(index), ["x"] * 2000) for index in range(27)]
    assert [(each.code, each.line) for each in check(tmp_path, *inputs).mistakes] == [("too_many_tasks", 26)]
    assert len(check(tmp_path, *["x"] * 1000).mistakes) == requests.MAX_MISTAKES
