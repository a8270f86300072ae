"""What a BERT tokenizer makes of each character: asked of the tokenizer itself, once."""

import sys
import unicodedata
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tokenizers

#: The bits of a kind. Nothing becomes of a dropped character; a starter is one that accents are not sorted across.
DROPPED: Final = 1
STARTER: Final = 2
BLANK: Final = 4
LETTER: Final = 8
WORD: Final = 16

#: A mark that is a word of its own, between the characters that the tokenizer is asked about.
BETWEEN = "."

#: So many characters are asked about at a time: of many at once, each takes longer.
QUESTION_CHARACTERS = 1024

Kinds = npt.NDArray[np.uint8]


class Characters:
    """Knows the kinds of characters.

    Args:
        whole: a tokenizer with the normalizer and the words of BERT, both of which look at each character alone.
    """

    def __init__(self, whole: "tokenizers.Tokenizer") -> None:
        self._whole = whole
        #: By code point; 0 is not known yet. These are 1.1 MB, of which the system gives what is written to.
        self._kinds: Kinds = np.zeros(sys.maxunicode + 1, np.uint8)
        self._kinds[ord(BETWEEN)] = WORD

    def find_kinds(self, codes: npt.NDArray[np.uint32]) -> Kinds:
        """Return the kinds of code points, in the same shape: one of the bits each, or dropped and starter."""
        kinds = self._kinds.take(codes, mode="clip")  # the fastest mode: no code point is larger than the last
        if not kinds.all():
            unknown = "".join(map(chr, np.unique(codes[kinds == 0])))
            for start in range(0, len(unknown), QUESTION_CHARACTERS):
                self._ask(unknown[start : start + QUESTION_CHARACTERS])
            kinds = self._kinds.take(codes, mode="clip")
        return kinds

    def _ask(self, characters: str) -> None:
        """Find what becomes of each character between two letters."""
        text = BETWEEN.join(f"a{each}a" for each in characters)
        normal = self._whole.normalizer.normalize_str(text) if self._whole.normalizer else text
        words = {word for word, _ in self._whole.pre_tokenizer.pre_tokenize_str(normal)}
        for each, answer in zip(characters, normal.split(BETWEEN), strict=True):
            self._kinds[ord(each)] = _tell(each, answer, words)


def _tell(character: str, answer: str, words: set[str]) -> int:
    """Return the kind of a character."""
    if answer == "aa":
        return DROPPED if unicodedata.combining(character) else DROPPED | STARTER
    if answer in words:
        return LETTER
    inside = answer[1:-1]
    return BLANK if inside.isspace() and inside not in words else WORD
