"""Text to token ids, with the model's own settings; many texts outside the GIL."""

from collections.abc import Sequence

import numpy as np

from service.engine.model import TokenIds

#: Characters up to which one text is tokenised without releasing the GIL: to get it back among 32 busy threads takes
#: longer than the work (0.12 ms for this many). encode_batch releases it, encode does not.
SHORT_CHARACTERS = 500

#: A text of more characters is cut before it is tokenised: 31 MB took 40 s and 3.7 GB, for the first 256 tokens.
LONG_CHARACTERS = 100_000
CHARACTERS_PER_TOKEN = 64


class Tokenizer:
    """A model's Rust tokenizer, without padding.

    Args:
        serialized: the tokenizer as JSON, what ``tokenizer.json`` holds; its truncation is kept, its padding is not.
        prompt: put before every text, as sentence-transformers does with a model's default prompt.
        special_tokens: whether to add the model's special tokens.
        split_special_tokens: whether a special token that a text holds is read as ordinary characters.
    """

    def __init__(
        self,
        serialized: str,
        prompt: str = "",
        *,
        special_tokens: bool = True,
        split_special_tokens: bool = False,
    ) -> None:
        import tokenizers

        self._tokenizer = tokenizers.Tokenizer.from_str(serialized)
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = split_special_tokens  # the JSON does not hold it
        self.prompt = prompt
        self.special_tokens = special_tokens
        self.split_special_tokens = split_special_tokens
        self.prompt_tokens = self._count_prompt_tokens() if prompt else 0

    @property
    def max_length(self) -> int | None:
        """The most tokens of a text, special tokens included; None for no limit."""
        truncation: dict[str, int] = self._tokenizer.truncation or {}
        return truncation.get("max_length")

    def limit(self, max_length: int) -> None:
        """Cut texts at ``max_length`` tokens, on the side on which they are cut already."""
        self._tokenizer.enable_truncation(**((self._tokenizer.truncation or {}) | {"max_length": max_length}))

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the token ids of each text, prompt and special tokens included."""
        texts = [self._clip(text) if len(text) > LONG_CHARACTERS else text for text in texts]
        if len(texts) == 1 and len(texts[0]) <= SHORT_CHARACTERS:
            encoding = self._tokenizer.encode(self.prompt + texts[0], add_special_tokens=self.special_tokens)
            return [np.array(encoding.ids, np.int32)]
        # "fast" leaves character offsets out.
        encodings = self._tokenizer.encode_batch_fast(
            [self.prompt + text for text in texts], add_special_tokens=self.special_tokens
        )
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def special_strings(self) -> list[str]:
        """Return the texts of the special tokens."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]

    def serialized(self) -> str:
        """Return the tokenizer as JSON, from which another one can be made."""
        return self._tokenizer.to_str()

    def _clip(self, text: str) -> str:
        """Return the part of a long text that holds the tokens that are kept, and as many more for a margin."""
        truncation = self._tokenizer.truncation
        if truncation is None:
            return text
        size = truncation["max_length"] * CHARACTERS_PER_TOKEN
        while size < len(text):
            part = text[-size:] if truncation["direction"] == "left" else text[:size]
            [encoding] = self._tokenizer.encode_batch_fast([part], add_special_tokens=self.special_tokens)
            if sum(map(len, (encoding, *encoding.overflowing))) >= 2 * truncation["max_length"]:
                return part
            size *= 4
        return text

    def _count_prompt_tokens(self) -> int:
        """Count the prompt's tokens without the special token that ends it: what pooling may have to leave out."""
        mask = self._tokenizer.encode(self.prompt, add_special_tokens=self.special_tokens).special_tokens_mask
        return len(mask) - sum(mask[-1:])
