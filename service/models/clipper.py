"""Cuts long texts before they are tokenised, where the tokens that are kept stay those of the whole."""

import re
from typing import TYPE_CHECKING

from service.engine.model import Side
from service.models.skimmer import Skimmer

if TYPE_CHECKING:
    import tokenizers

#: A text of more characters is cut before it is tokenised: 31 MB took 40 s and 3.7 GB, for the first 256 tokens.
LONG_CHARACTERS = 100_000

#: The first part has so many: English has five. Each further one is four times as long.
CHARACTERS_PER_TOKEN = 8

#: A part of more characters than this, which is one word, is not compared: that would take longer than the rest.
MAX_COMPARED_CHARACTERS = 2**19

#: A letter or digit that a blank and another one follow.
SEAM = re.compile(r"[^\W_](?= [^\W_])")


class Clipper:
    """Knows what a tokenizer needs to see of a long text.

    Args:
        whole: the tokenizer, which does not cut.
    """

    def __init__(self, whole: "tokenizers.Tokenizer") -> None:
        from tokenizers.models import WordPiece

        self._whole = whole
        self._skimmer = Skimmer(whole)
        added = [token.content for token in whole.get_added_tokens_decoder().values()]
        #: So many words an added token may be divided into; two more for the rules by which words are divided.
        self._margin = 2 + max(map(len, added), default=0)
        #: A word of more than 100 characters is one unknown token to it, though the beginning of the word is not.
        self._is_word_piece = isinstance(whole.model, WordPiece)
        self._longest = max(map(len, whole.get_vocab()), default=1)

    def clip(self, text: str, side: Side, max_length: int | None) -> str:
        """Return a shorter text whose first tokens, or with the side left its last, are the ``max_length`` kept."""
        if len(text) <= LONG_CHARACTERS or max_length is None:
            return text
        size, read = max_length * CHARACTERS_PER_TOKEN, text
        while size < len(read):
            part = Part(read, size, side)
            [encoding] = self._whole.encode_batch([part.text], add_special_tokens=False)  # "fast" leaves words out
            if self._ends_words(encoding, part, max_length) or self._outweighs(encoding, part, max_length):
                return part.text
            size *= 4
            read = self._skimmer.shorten(text, size, side)  # a usual text need not be looked at any further
        return read

    def _ends_words(self, encoding: "tokenizers.Encoding", part: "Part", max_length: int) -> bool:
        """Tell whether the kept tokens are those of whole words: a word's tokens depend on no other word.

        The words next to the cut may be parts of words or of an added token, and count as a margin.
        """
        words = [word for word in encoding.word_ids if word is not None]
        if len(words) <= max_length:
            return False
        if part.side == "left":
            is_right = part.is_between_words or self._is_word_piece
            return is_right and words[-max_length] - words[0] > self._margin
        return words[-1] - words[max_length - 1] > self._margin

    def _outweighs(self, encoding: "tokenizers.Encoding", part: "Part", max_length: int) -> bool:
        """Tell whether the kept tokens stay the same wherever the text goes on, in a word that does not end.

        Unigram and BPE find the tokens of a text from those of its beginnings: what all the beginnings have in common
        that are shorter by up to a token, the text has too. A very long word is not compared.
        """
        if self._is_word_piece or len(encoding) < 2 * max_length:
            return False
        if len(part.text) > MAX_COMPARED_CHARACTERS:
            return True
        kept = slice(-max_length, None) if part.side == "left" else slice(max_length)
        expected = encoding.ids[kept]
        for number in range(1, self._longest + 1):  # not a batch: often the first one tells
            [shorter] = self._whole.encode_batch_fast([part.without(number)], add_special_tokens=False)
            if shorter.ids[kept] != expected:
                return False
        return True


class Part:
    """The beginning of a text, or with ``side`` left its end, of about ``size`` characters."""

    def __init__(self, text: str, size: int, side: Side) -> None:
        self.side = side
        self.text = text[-size:] if side == "left" else text[:size]
        #: Whether it begins with the blank after a word, where every tokenizer begins another.
        self.is_between_words = False
        if side == "left" and (seam := SEAM.search(self.text)):
            self.text = self.text[seam.end() :]
            self.is_between_words = True

    def without(self, characters: int) -> str:
        """Return it without so many characters next to the cut."""
        return self.text[characters:] if self.side == "left" else self.text[:-characters]
