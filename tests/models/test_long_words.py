"""Most of a word that WordPiece does not read is left out, and no token changes."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.models import long_words
from service.models.long_words import IDEOGRAPH, LongWords

ADDED = ["[CLS]", "[SEP]", "[UNK]", "[MASK]"]
PIECES = [*"aZ9éжअ한中𠀀\u0301_-. \n\x01", "[MASK]", "MASK", "²", "ﬁ", "İ", "⑴"]
RUNS = st.builds(lambda piece, count: piece * count, st.sampled_from(PIECES), st.integers(1, 60))
WORDS = st.builds("".join, st.lists(st.sampled_from("aZ9éж²İ"), min_size=30, max_size=90))
LONG = st.lists(st.one_of(RUNS, WORDS), min_size=5, max_size=40).map("".join)


def build(words=None, model=None, added=ADDED, **options):
    """A tokenizer that knows every character of a word of its own as one token."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers

    letters = ["[UNK]", "a", "z", "9", "e", "ж", *["##a", "##z", "##9", "##e", "##ж", "中", ".", "-", "_"]]
    vocabulary = {token: number for number, token in enumerate(letters)}
    rust = tokenizers.Tokenizer(model or models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=10))
    rust.normalizer = normalizers.BertNormalizer(**options)
    rust.pre_tokenizer = words or pre_tokenizers.BertPreTokenizer()
    rust.add_special_tokens(added)
    return rust


@pytest.mark.parametrize("strip_accents", [True, False])
def test_a_shorter_text_has_the_same_tokens(strip_accents, monkeypatch):
    monkeypatch.setattr(long_words, "PIECE_CHARACTERS", 12)
    rust = build(strip_accents=strip_accents)
    words = LongWords(rust)
    shortened = 0

    @given(LONG)
    @example("a" * 500 + " " * 500)
    @example("[MASK]" + "a" * 100 + "[MASK]b" + "ж" * 100)
    def compare(text):
        nonlocal shortened
        shorter = words.shorten(text)
        shortened += len(shorter) < len(text)
        assert rust.encode(shorter).ids == rust.encode(text).ids

    compare()
    assert shortened


def test_no_letter_or_digit_divides_a_word_or_is_left_out():
    """Every one that Unicode has, as this Python and the tokenizer know it."""
    rust = build(strip_accents=True)
    characters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalnum()]
    inside = [each for each in characters if not IDEOGRAPH.search(each)]
    encodings = rust.encode_batch([f"a{each}a" for each in inside])

    assert len(inside) > 40_000
    assert [each for each, found in zip(inside, encodings, strict=True) if set(found.word_ids) != {0}] == []
    assert [each for each in inside if not rust.normalizer.normalize_str(each)] == []


def test_a_word_without_end_becomes_short():
    words = LongWords(build())

    assert len(words.shorten("a" * 10**6 + " " * 10**6 + "ж" * 10**6)) < 5000


def test_other_tokenizers_keep_every_character():
    from tokenizers import models, pre_tokenizers

    text = "a" * 10**5
    others = build(pre_tokenizers.Digits()), build(model=models.BPE()), build(added=["aaa"])
    assert [LongWords(each).shorten(text) for each in others] == [text] * 3
