"""Long texts, with the real tokenizer of all-MiniLM-L6-v2."""

import random

import pytest

from service.models import sources
from service.models import tokenizer as tokenizers
from service.models.tokenizer import Tokenizer

WORDS = ["the", "über", "naïve", "中文", "embeddings", ",", "12345", "x" * 150]

TEXTS = {
    "words": " ".join(random.Random(1).choices(WORDS, k=30_000)),
    "blanks": " " * 200_000 + " ".join(random.Random(2).choices(WORDS, k=3000)) + " " * 200_000,
    "one word": "a" * 200_000,
    "no spaces": "中文" * 100_000,
    "short after all": "a few words" + " " * 200_000,
}


@pytest.fixture(params=["right", "left"])
def tokenizer(request):
    tokenizer = Tokenizer((sources.find("all-MiniLM-L6-v2").directory / "tokenizer.json").read_text())
    tokenizer._tokenizer.enable_truncation(256, direction=request.param)
    return tokenizer


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_long_text_keeps_the_tokens_of_the_whole(tokenizer, text, monkeypatch):
    [cut] = tokenizer.encode([text])
    monkeypatch.setattr(tokenizers, "LONG_CHARACTERS", len(text))
    [whole] = tokenizer.encode([text])

    assert cut.tolist() == whole.tolist()


def test_of_a_long_text_little_is_tokenised(tokenizer):
    assert len(tokenizer._clip("a word " * 1_000_000)) < 100_000
