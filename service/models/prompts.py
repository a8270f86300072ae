"""Texts that a model wants before others, and which of them a request may choose."""

import msgspec

from service.errors import InvalidInput


class Prompts(msgspec.Struct, frozen=True):
    """The prompts of a model.

    Args:
        texts: by name.
        default: the name of the one that is put before texts unless another is asked for.
        fixed: whether there is no choice: pooling leaves out as many tokens as the default prompt has.
    """

    texts: dict[str, str] = {}
    default: str | None = None
    fixed: bool = False

    @property
    def own(self) -> str:
        """The default prompt, "" without one."""
        return self.texts[self.default] if self.default else ""

    def pick(self, prompt: str | None) -> str:
        """Return what to put before texts: ``prompt``, or the default prompt if it is None.

        Raises:
            InvalidInput: the model cannot take it.
        """
        if prompt is None:
            return self.own
        if self.fixed and prompt != self.own:
            only = f"only {self.default!r}" if self.default else "none"
            raise InvalidInput(f"the model leaves its prompt out of the vectors, which works for a fixed one: {only}")
        return prompt
