"""How both backends read texts: with the model's tokenizer and prompts."""

from collections.abc import Mapping, Sequence

from service.engine.model import Input, Reading, Token, Tokenized
from service.models.prompts import Prompts
from service.models.tokenizer import Tokenizer


class Reader:
    """The half of a model that turns texts into token ids."""

    def __init__(self, tokenizer: Tokenizer, prompts: Prompts) -> None:
        self.tokenizer = tokenizer
        self.max_length = tokenizer.max_length
        self.truncation_side = tokenizer.side
        self.prompts: Mapping[str, str] = prompts.texts
        self.default_prompt = prompts.default
        self.known_prompts = prompts
        #: Set when the files' digests are known, which takes seconds for large ones.
        self.fingerprint = ""

    def tokenize(self, inputs: Sequence[Input], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        """Return the token ids of each input, cut at the model's length; a prompt goes before texts, not before ids.

        Raises:
            InvalidInput: a list of ids is empty or holds one that is not in the vocabulary, and ``index`` says which
                list; or the model cannot take this prompt.
        """
        return self.tokenizer.encode(inputs, self.known_prompts.pick(reading.prompt), reading.side)

    def pieces(self, text: str, *, special_tokens: bool = True, prompt: str = "") -> list[Token]:
        """Return the tokens of a text, which is not cut, after those of the prompt."""
        return self.tokenizer.pieces(text, special_tokens=special_tokens, prompt=prompt)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids.

        Raises:
            InvalidInput: one is not in the vocabulary.
        """
        return self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
