"""A batch of token sequences as the arrays that a model's first module takes."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from service.engine.model import PaddingLimits, TokenIds

Array = npt.NDArray[np.int64]

#: For models whose vectors depend on the padding, such as FNet and ConvBERT.
EQUAL_LENGTHS = PaddingLimits(ratio=1.0, slack=0)


class Layout(msgspec.Struct, frozen=True):
    """How a model wants its batches: rows padded to the longest, or flat, end to end, as EmbeddingBag takes them."""

    kind: Literal["padded", "flat"]
    pad_id: int = 0
    padding_side: str = "right"

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two arrays."""
        return ("input_ids", "attention_mask" if self.kind == "padded" else "offsets")

    def arrays(self, batch: Sequence[TokenIds]) -> tuple[Array, Array]:
        """Return the two arrays of a batch; what they hold, ``padded`` and ``flat`` say."""
        return padded(batch, self.pad_id, self.padding_side) if self.kind == "padded" else flat(batch)


def padded(batch: Sequence[TokenIds], pad_id: int, side: str) -> tuple[Array, Array]:
    """Return ``input_ids`` and ``attention_mask``, int64 of shape (len(batch), longest).

    A text without a token, which a tokenizer without special tokens makes of "", becomes padding: one column at least.
    """
    longest = max(1, *map(len, batch))
    ids = np.full((len(batch), longest), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        columns = slice(longest - len(tokens), None) if side == "left" else slice(len(tokens))
        ids[row, columns] = tokens
        mask[row, columns] = 1
    return ids, mask


def flat(batch: Sequence[TokenIds]) -> tuple[Array, Array]:
    """Return ``input_ids`` end to end and the ``offsets`` where each text begins, int64.

    A text of one token more stands at the end, and its vector has to be dropped: OpenVINO cannot end with an empty one.
    """
    lengths = [len(tokens) for tokens in batch]
    return np.concatenate([*batch, [0]]).astype(np.int64), np.cumsum([0, *lengths], dtype=np.int64)
