"""Most of a word that WordPiece does not read is left out, and no token changes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.models import skimmer
from service.models.skimmer import Skimmer

ADDED = ["[CLS]", "[SEP]", "[UNK]", "[MASK]", "9]"]
PIECES = [*"aZ9éжअ한中𠀀_-. \n\x01😀\u0301\u0323\u034f\u200d\u302e\u1b44", "[MASK]", "MASK", "²", "ﬁ", "İ", "⑴"]
MIXES = st.builds(lambda pieces, count: "".join(pieces) * count, st.lists(st.sampled_from(PIECES)), st.integers(1, 60))
LONG = st.lists(MIXES, min_size=1, max_size=12).map("".join)


def build(words=None, model=None, added=ADDED, **options):
    """A tokenizer that knows every character of a word of its own as one token."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers

    letters = ["[UNK]", "a", "z", "9", "e", "ж", *["##a", "##z", "##9", "##e", "##ж", "中", ".", "-", "_"]]
    letters += ["##\u302e", "##\u1b44"]  # letters that are sorted among accents
    vocabulary = {token: number for number, token in enumerate(letters)}
    rust = tokenizers.Tokenizer(model or models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=10))
    rust.normalizer = normalizers.BertNormalizer(**options)
    rust.pre_tokenizer = words or pre_tokenizers.BertPreTokenizer()
    rust.add_special_tokens(added)
    return rust


@pytest.mark.parametrize("options", [{}, {"strip_accents": False}, {"clean_text": False}], ids=str)
@pytest.mark.parametrize(("characters", "added"), [(1, []), (2, []), (7, ADDED)])
def test_a_shorter_text_has_the_same_tokens(characters, added, options, monkeypatch):
    monkeypatch.setattr(skimmer, "PIECE_CHARACTERS", characters)
    monkeypatch.setattr(skimmer, "CHUNK_CHARACTERS", 10 * characters)
    rust = build(added=added, **options)
    ours = Skimmer(rust)
    shortened = 0

    @given(LONG, st.sampled_from(["left", "right"]))
    @example("a" * 500 + " " * 500, "right")
    @example("[MASK]" + "a" * 100 + "[MASK]b" + "ж" * 100, "left")
    @example("a\u302e" + "\u0323" * 30 + "\u034f" + "\u0323" * 30 + "\u1b44", "right")
    @example("a" + "\u0301" * 50 + "z" + "\u0301" * 50 + "9" + "\u0301" * 50, "right")
    @example("a" * 11 + "\u0301" * 20, "right")
    @example("aaaa[MA" + "\u0301" * 70 + "SK]", "right")
    @example("aaaaaa9" * 4 + "aaaaaaa" + "]", "right")
    @example("a" + "\u0301" * 50 + " " + "\u0301" * 50 + "9", "right")
    def compare(text, side):
        nonlocal shortened
        shorter = ours.shorten(text, len(text), side)
        shortened += len(shorter) < len(text)
        assert rust.encode(shorter).ids == rust.encode(text).ids

    compare()
    assert shortened


@pytest.mark.parametrize(
    "unit", ["a", " ", "ж7", "😀", "\u0301", " \u0301", "\u200d\ufe0f", "\x01", "a" + "\u0301" * 999]
)
def test_what_is_not_read_becomes_short(unit):
    assert len(Skimmer(build()).shorten(unit * (10**6 // len(unit)), 5000)) < 5000


@pytest.mark.parametrize("side", ["left", "right"])
def test_only_as_much_is_looked_at_as_is_asked_for(side, monkeypatch):
    monkeypatch.setattr(skimmer, "CHUNK_CHARACTERS", 500)
    text = "\u0301" * 3000 + "a word " * 1000 + "\u0301" * 3000

    part = Skimmer(build()).shorten(text, 1000, side)

    assert 1000 < len(part) < 2000
    assert part.strip("\u0301") in text


def test_other_tokenizers_keep_every_character():
    from tokenizers import models, pre_tokenizers

    text = "a" * 10**5
    others = build(pre_tokenizers.Digits()), build(model=models.BPE()), build(added=["aaa"])
    assert [Skimmer(each).shorten(text, 1) for each in others] == [text] * 3
