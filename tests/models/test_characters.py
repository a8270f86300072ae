"""What BERT's rules make of each character of Unicode, alone and among others."""

import sys

import numpy as np
import pytest

from service.models.characters import BLANK, DROPPED, LETTER, STARTER, WORD, Characters
from tests.models.test_skimmer import build

CODES = np.array([code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000], np.uint32)


@pytest.fixture(scope="module", params=[{}, {"strip_accents": False}], ids=str)
def known(request):
    """A tokenizer, and the kinds of all characters."""
    rust = build(**request.param)
    return rust, Characters(rust).find_kinds(CODES)


def words(rust, codes):
    """The words of a text of all these characters."""
    normal = rust.normalizer.normalize_str("".join(map(chr, codes)))
    return [word for word, _ in rust.pre_tokenizer.pre_tokenize_str(normal)]


def test_dropped_characters_and_blanks_are_no_word(known):
    rust, kinds = known

    assert words(rust, CODES[kinds & (DROPPED | BLANK) != 0]) == []


def test_letters_do_not_divide_a_word(known):
    rust, kinds = known
    letters = CODES[kinds == LETTER]

    assert len(letters) > 40_000
    [word] = words(rust, letters)
    assert len(word) >= len(letters)


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("a", LETTER),
        ("é", LETTER),
        ("😀", LETTER),
        ("中", WORD),
        ("!", WORD),
        (".", WORD),
        ("。", WORD),
        ("\u3000", BLANK),
        ("\n", BLANK),
        ("\u0301", DROPPED),
        ("\ufe0f", DROPPED | STARTER),
        ("\u200d", DROPPED | STARTER),
        ("\x01", DROPPED | STARTER),
    ],
)
def test_a_character_has_a_kind(character, kind):
    assert Characters(build()).find_kinds(np.array([ord(character)])) == [kind]


def test_blanks_that_are_not_cleaned_are_blanks():
    assert Characters(build(clean_text=False)).find_kinds(np.array([10, 32])).tolist() == [BLANK, BLANK]
