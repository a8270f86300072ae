"""Text to token ids and back, with the model's own settings; many texts outside the GIL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from service.engine.model import Input, Pair, Side, Token, TokenIds, Tokenized
from service.errors import InvalidInput
from service.models.clipper import Clipper

if TYPE_CHECKING:
    import tokenizers

#: Characters up to which one text is tokenised without releasing the GIL: to get it back among 32 busy threads takes
#: longer than the work (0.12 ms for this many). encode_batch releases it, encode does not.
SHORT_CHARACTERS = 500

#: Added to the ids of a pair's second text, which BERT is told of: ids stay one array, and no vocabulary is so large.
TYPE = 2**30


class Tokenizer:
    """A model's Rust tokenizer, without padding.

    Args:
        serialized: the tokenizer as JSON, what ``tokenizer.json`` holds; its truncation is kept, its padding is not.
        special_tokens: whether to add the model's special tokens.
        split_special_tokens: whether a special token that a text holds is read as ordinary characters.
        vocabulary_size: the ids of tokens are below it; None to count the tokens, whose ids may have gaps.
    """

    def __init__(
        self,
        serialized: str,
        *,
        special_tokens: bool = True,
        split_special_tokens: bool = False,
        vocabulary_size: int | None = None,
    ) -> None:
        import tokenizers

        self._whole = tokenizers.Tokenizer.from_str(serialized)
        self._whole.no_padding()
        self._whole.encode_special_tokens = split_special_tokens  # the JSON does not hold it
        self.special_tokens = special_tokens
        self.split_special_tokens = split_special_tokens
        self.vocabulary_size = vocabulary_size or self._whole.get_vocab_size()
        self._truncation = self._whole.truncation or {}
        self._whole.no_truncation()
        self._first, self._last = self._find_special_tokens()
        self._clipper = Clipper(self._whole)
        self._make_cutters()

    def limit(self, max_length: int) -> None:
        """Cut texts at ``max_length`` tokens, on the side on which they are cut already."""
        self._truncation |= {"max_length": max_length}
        self._make_cutters()

    def encode(self, inputs: Sequence[Input], prompt: str = "", side: Side | None = None) -> Tokenized:
        """Return the token ids of each input, and which inputs were cut.

        Args:
            inputs: texts, to which the prompt and special tokens are added, and lists of ids, to which nothing is.
            prompt: put before every text.
            side: where to cut; None for the side of the tokenizer's own truncation.

        Raises:
            InvalidInput: a list of ids is empty or holds one that is not in the vocabulary.
        """
        side = side or self.side
        texts = [prompt + self._clipper.clip(each, side, self.max_length) for each in inputs if isinstance(each, str)]
        encodings = iter(self._encode(texts, side))
        ids: list[TokenIds] = []
        cut = []
        for index, each in enumerate(inputs):
            if isinstance(each, str):
                encoding = next(encodings)
                ids.append(np.array(encoding.ids, np.int32))
                if len(ids[-1]) == self.max_length and encoding.overflowing:  # in this order: overflowing is a copy
                    cut.append(index)
            else:
                if not each:
                    raise InvalidInput("an empty list of token ids; send at least one", index=index)
                self.check(each, index)
                ids.append(self._shorten(np.array(each, np.int32), side))
                if len(ids[-1]) < len(each):
                    cut.append(index)
        return Tokenized(ids, cut)

    def encode_pairs(self, pairs: Sequence[Pair], side: Side | None = None, *, typed: bool = False) -> Tokenized:
        """Return the token ids of each query and document together, and which pairs were cut.

        Args:
            pairs: any number.
            side: where to cut the longer one of the two; None for the side of the tokenizer's own truncation.
            typed: whether the ids of the document's tokens are larger by ``TYPE``.
        """
        side = side or self.side
        clip, most = self._clipper.clip, self.max_length
        texts = [(clip(query, side, most), clip(document, side, most)) for query, document in pairs]
        encodings = self._cutters[side].encode_batch_fast(texts, add_special_tokens=self.special_tokens)
        ids = [np.array(encoding.ids, np.int32) for encoding in encodings]
        if typed:
            ids = [
                each + np.int32(TYPE) * np.array(encoding.type_ids, np.int32)
                for each, encoding in zip(ids, encodings, strict=True)
            ]
        long = (index for index, each in enumerate(ids) if len(each) == self.max_length)
        return Tokenized(ids, [index for index in long if encodings[index].overflowing])

    def pieces(self, text: str, *, special_tokens: bool = True, prompt: str = "") -> list[Token]:
        """Return the tokens of the whole text, those of the prompt before them."""
        special_tokens = special_tokens and self.special_tokens
        [encoding] = self._whole.encode_batch([prompt + text], add_special_tokens=special_tokens)
        marks = zip(encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True)
        read, before = prompt + text, len(prompt)
        tokens = []
        for token_id, name, special, (start, stop) in marks:
            if special:
                tokens.append(Token(token_id, name, special=True, start=None, stop=None))
            elif start < before and stop <= before:
                tokens.append(Token(token_id, read[start:stop], special=False, start=None, stop=None))
            else:
                first, last = max(0, start - before), stop - before
                tokens.append(Token(token_id, read[start:stop], special=False, start=first, stop=last))
        return tokens

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids.

        Raises:
            InvalidInput: one is not in the vocabulary.
        """
        self.check(ids)
        return self._whole.decode(ids, skip_special_tokens=skip_special_tokens)

    def check(self, ids: Sequence[int], index: int | None = None) -> None:
        """Check that ``ids``, the input number ``index``, are tokens of the model.

        Raises:
            InvalidInput: one is not in the vocabulary.
        """
        for each in (min(ids, default=0), max(ids, default=0)):
            if not 0 <= each < self.vocabulary_size:
                raise InvalidInput(
                    f"token id {each} is not in the model's vocabulary; send 0 to {self.vocabulary_size - 1}",
                    index=index,
                )

    def count_prompt_tokens(self, prompt: str) -> int:
        """Count the prompt's tokens without the special token that ends it: what pooling may have to leave out."""
        if not prompt:
            return 0
        mask = self._cutters[self.side].encode(prompt, add_special_tokens=self.special_tokens).special_tokens_mask
        return len(mask) - sum(mask[-1:])

    def special_strings(self) -> list[str]:
        """Return the texts of the special tokens."""
        return [token.content for token in self._whole.get_added_tokens_decoder().values() if token.special]

    def serialized(self) -> str:
        """Return the tokenizer as JSON, from which another one can be made."""
        return self._cutters[self.side].to_str()

    def _make_cutters(self) -> None:
        """Make a tokenizer for each side: its truncation is its state, which threads share."""
        #: The most tokens of a text, special tokens included; None for no limit.
        self.max_length: int | None = self._truncation.get("max_length")
        #: Which end of a longer text is cut.
        self.side: Side = self._truncation.get("direction", "right")
        self._cutters = dict.fromkeys(get_args(Side), self._whole)
        if self._truncation:
            self._cutters = {side: share(self._whole) for side in get_args(Side)}
            for side, cutter in self._cutters.items():
                cutter.enable_truncation(**(self._truncation | {"direction": side}))

    def _encode(self, texts: list[str], side: Side) -> "list[tokenizers.Encoding]":
        cutter = self._cutters[side]
        if len(texts) == 1 and len(texts[0]) <= SHORT_CHARACTERS:
            return [cutter.encode(texts[0], add_special_tokens=self.special_tokens)]
        # "fast" leaves character offsets out.
        return cutter.encode_batch_fast(texts, add_special_tokens=self.special_tokens)

    def _shorten(self, ids: TokenIds, side: Side) -> TokenIds:
        """Cut ids as the tokenizer cuts texts: the special tokens that it begins and ends them with stay."""
        if self.max_length is None or len(ids) <= self.max_length:
            return ids
        if side == "left":
            kept = self._first if ids[: len(self._first)].tolist() == self._first else []
            return np.array([*kept, *ids[len(ids) - self.max_length + len(kept) :]], np.int32)
        kept = self._last if ids[len(ids) - len(self._last) :].tolist() == self._last else []
        return np.array([*ids[: self.max_length - len(kept)], *kept], np.int32)

    def _find_special_tokens(self) -> tuple[list[int], list[int]]:
        """Return the special tokens with which a text begins and ends."""
        encoding = self._whole.encode("a", add_special_tokens=self.special_tokens)
        inner = [index for index, special in enumerate(encoding.special_tokens_mask) if not special]
        return (encoding.ids[: inner[0]], encoding.ids[inner[-1] + 1 :]) if inner else ([], [])


def share(tokenizer: "tokenizers.Tokenizer") -> "tokenizers.Tokenizer":
    """Return a tokenizer with the same parts, not copies of them, and with no truncation or padding of its own.

    It takes 0.2 ms and no memory with all-MiniLM-L6-v2, of which a copy takes 8 MB.
    """
    import tokenizers

    other = tokenizers.Tokenizer(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(tokenizer, part) is not None:
            setattr(other, part, getattr(tokenizer, part))
    other.add_tokens([token for _, token in sorted(tokenizer.get_added_tokens_decoder().items())])
    other.encode_special_tokens = tokenizer.encode_special_tokens
    return other
