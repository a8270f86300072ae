"""Shortens what BERT does not read: what it drops, blanks among blanks, and the inside of very long words."""

import string
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from service.engine.model import Side
from service.models.characters import BLANK, LETTER, STARTER, WORD, Characters, Kinds

if TYPE_CHECKING:
    import tokenizers

#: A text is looked at in pieces of so many characters, each of which stays or is left out.
PIECE_CHARACTERS = 64

#: So many characters are looked at at a time: they take 1.5 MB.
CHUNK_CHARACTERS = 2**18

Flags = npt.NDArray[np.bool_]


class Skimmer:
    """Knows which characters of a long text change no token.

    BERT looks at characters one by one: it drops some, divides words at others, and WordPiece makes one unknown token
    of a word of more than 100. For a tokenizer of another kind every character counts.

    Args:
        whole: the tokenizer.
    """

    def __init__(self, whole: "tokenizers.Tokenizer") -> None:
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        added = [token.content for token in whole.get_added_tokens_decoder().values()]
        self._are_unread = (
            isinstance(whole.model, WordPiece)
            and isinstance(whole.pre_tokenizer, BertPreTokenizer)
            and (whole.normalizer is None or isinstance(whole.normalizer, BertNormalizer))
            # No added token is among letters and blanks, or reaches from one side of what is left out to the other.
            and all(len(each) < PIECE_CHARACTERS and set(each) & set(string.punctuation) for each in added)
        )
        if self._are_unread:
            self._characters = Characters(whole)
            self._longest = whole.model.max_input_chars_per_word

    def shorten(self, text: str, size: int, side: Side = "right") -> str:
        """Return a text of the same tokens, or if it has more than ``size`` characters only its beginning.

        Args:
            text: at least one character.
            size: what is returned has more characters, or is all.
            side: with left, the end of the text takes the place of its beginning.
        """
        if not self._are_unread:
            return text
        kept = chunk = shorter = ""
        enough = size
        for start in range(0, len(text), CHUNK_CHARACTERS):
            before, end = chunk, start + CHUNK_CHARACTERS
            chunk = text[-end : len(text) - start] if side == "left" else text[start:end]
            shorter = shorter if chunk == before else self._leave_out(chunk)
            kept = shorter + kept if side == "left" else kept + shorter
            if len(kept) > enough:
                kept = self._leave_out(kept)
                if len(kept) > size:
                    return kept
                enough = max(size, 2 * len(kept))
        return self._leave_out(kept)

    def _leave_out(self, text: str) -> str:
        """Return a text of the same tokens, also between others, without the pieces that change none."""
        whole = len(text) - len(text) % PIECE_CHARACTERS
        codes = np.frombuffer(text[:whole].encode("utf-32-le"), np.uint32).reshape(-1, PIECE_CHARACTERS)
        kinds = self._characters.find_kinds(codes)
        unread = find_unread(np.bitwise_or.reduce(kinds, 1), np.bitwise_and.reduce(kinds, 1), self._longest)
        return codes[~unread].tobytes().decode("utf-32-le") + text[whole:] if unread.any() else text


def find_unread(some: Kinds, every: Kinds, longest: int) -> Flags:
    """Tell which pieces change no token.

    A piece is the inside of a word if nothing in it, before it and after it ends one; it is not read if more letters
    than WordPiece takes are before it. Pieces of no letter are nothing, but the first with a blank ends a word, and
    the first with a starter keeps accents apart.

    Args:
        some: for each piece, the kinds of all its characters.
        every: the kinds that each of its characters has.
        longest: the most letters of a word that is read.
    """
    inside = some & (BLANK | WORD) == 0
    letters = np.where(every == LETTER, PIECE_CHARACTERS, some & LETTER != 0)
    nothing = some & (LETTER | WORD) == 0
    unread: Flags = _surround(inside) & (_count_before(letters, inside) > longest)
    needed = np.zeros_like(nothing)
    for kind in (BLANK, STARTER):
        has = some & kind != 0
        needed |= has & (_count_before(has, nothing) == 0)
    unread |= _surround(nothing) & ~needed
    return unread


def _surround(run: Flags) -> Flags:
    """Tell which pieces of a run are neither its first nor its last."""
    inner = np.zeros_like(run)
    inner[1:-1] = run[:-2] & run[1:-1] & run[2:]
    return inner


def _count_before(numbers: npt.NDArray[np.generic], run: Flags) -> npt.NDArray[np.int64]:
    """Return the sum of the numbers of a run's pieces before each one."""
    before = np.cumsum(numbers, dtype=np.int64)
    before[1:], before[:1] = before[:-1].copy(), 0
    starts = np.ones_like(run)
    starts[1:] = ~run[:-1]
    return before - np.maximum.accumulate(np.where(starts, before, 0))
