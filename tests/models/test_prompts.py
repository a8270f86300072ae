import pytest

from service.errors import InvalidInput
from service.models.prompts import Prompts

TEXTS = {"query": "query: ", "document": "", "other": "other: "}


@pytest.mark.parametrize(
    ("asked", "picked"), [(None, "query: "), ("", ""), ("other: ", "other: "), ("anything ", "anything ")]
)
def test_a_request_may_ask_for_any_prompt(asked, picked):
    assert Prompts(TEXTS, "query").pick(asked) == picked


def test_without_a_default_no_prompt_is_put_before_texts():
    assert Prompts(TEXTS).pick(None) == ""


@pytest.mark.parametrize("asked", [None, "query: "])
def test_a_fixed_prompt_may_be_asked_for(asked):
    assert Prompts({"query": "query: "}, "query", fixed=True).pick(asked) == "query: "


@pytest.mark.parametrize("asked", ["", "other: "])
def test_beside_a_fixed_prompt_no_other_is_taken(asked):
    with pytest.raises(InvalidInput, match="works for a fixed one: only 'query'"):
        Prompts({"query": "query: "}, "query", fixed=True).pick(asked)


def test_a_model_without_a_prompt_may_be_fixed_to_none():
    with pytest.raises(InvalidInput, match="works for a fixed one: none"):
        Prompts(fixed=True).pick("query: ")
