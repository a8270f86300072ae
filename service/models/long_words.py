"""Shortens what WordPiece does not read: a word of more than 100 characters is one unknown token to it."""

import re
import string
from itertools import compress
from operator import not_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

#: A text is looked at in pieces of so many characters. Words of four pieces and more become shorter.
PIECE_CHARACTERS = 512

#: Letters that BERT takes for words of their own.
IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ceaf\U0002f800-\U0002fa1f]")


class LongWords:
    """Knows which characters of a long text change no token.

    BERT divides words at blanks and punctuation, character by character. A piece of letters and digits between two such
    pieces is the inside of a word that is longer than a piece with it and without it, and blanks between blanks are
    nothing. For a tokenizer of another kind every character counts.

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
            and whole.model.max_input_chars_per_word < PIECE_CHARACTERS
            and isinstance(whole.pre_tokenizer, BertPreTokenizer)
            and (whole.normalizer is None or isinstance(whole.normalizer, BertNormalizer))
            # No added token is inside of a word, or reaches from one side of what is taken out to the other.
            and all(len(each) < PIECE_CHARACTERS and set(each) & set(string.punctuation) for each in added)
        )

    def shorten(self, text: str) -> str:
        """Return a text of the same tokens, without most of the inside of very long words."""
        if not self._are_unread:
            return text
        pieces = [text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS)]
        kinds = ["", *map(_find_kind, pieces), ""]
        threes = zip(kinds, kinds[1:], kinds[2:], strict=False)
        unread = [before == kind == after != "" for before, kind, after in threes]
        return "".join(compress(pieces, map(not_, unread))) if any(unread) else text


def _find_kind(piece: str) -> str:
    """Tell what all of a piece is: the inside of a word, or blanks; "" if neither."""
    if piece.isalnum():
        return "word" if piece.isascii() or not IDEOGRAPH.search(piece) else ""
    return "" if piece.strip(" \t\n\r") else "blank"
