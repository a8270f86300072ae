"""How both backends read a query and a document: as one text, cut to the model's length."""

from collections.abc import Sequence
from typing import Literal

from service.engine.model import Input, Pair, Reading, Tokenized
from service.errors import InvalidInput
from service.models.artifact import Scoring
from service.models.reader import Reader


class PairReader(Reader):
    """The half of a model that turns pairs into token ids; ``scoring`` must be set before it reads."""

    scoring: Scoring

    @property
    def activation(self) -> Literal["sigmoid", "identity"]:
        """What makes a score of the number that the model gives."""
        return self.scoring.activation

    def tokenize(self, inputs: Sequence[Input | Pair], reading: Reading = Reading()) -> Tokenized:  # noqa: B008  # immutable
        """Return the token ids of each pair, cut at the model's length; a text alone is a document without a query.

        Raises:
            InvalidInput: an input is a list of token ids.
        """
        return self.tokenizer.encode_pairs(
            [_pair(each, index) for index, each in enumerate(inputs)], reading.side, typed=self.scoring.typed
        )


def _pair(each: Input | Pair, index: int) -> Pair:
    if isinstance(each, Pair):
        return each
    if isinstance(each, str):
        return Pair("", each)
    raise InvalidInput("a reranker takes texts, no token ids", index=index)
