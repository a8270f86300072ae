"""What each request of a batch file chooses, followed as ``POST /v1/embeddings`` does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from service.api import outputs
from service.api.choices import Choices, Truncate
from service.bulk.shards import Shard
from service.bulk.windows import Tokenized
from service.engine.engine import check_dimensions, too_long
from service.engine.model import Model
from service.engine.options import Options
from service.errors import InvalidInput, RequestError


class Asked(NamedTuple):
    """What a request asks for: of the engine, and of the answer as ``outputs.encode`` takes it; why it is refused."""

    options: Options = Options()
    output: tuple[outputs.Kind, bool, bool] = "float", False, False
    refusal: RequestError | None = None


def ask(model: Model, shard: Shard, requests: Sequence[Any], default: Options, truncate: Truncate) -> list[Asked]:
    """Return what each request of a shard asks for; give one that the model cannot answer an error, and no text.

    Args:
        model: answers them.
        shard: has their texts.
        requests: as ``read`` keeps them.
        default: for what a request does not say.
        truncate: EMBED_TRUNCATE.
    """
    asked = []
    for row, request in enumerate(requests):
        asked.append(Asked())
        if row in shard.errors:
            asked[-1] = Asked(refusal=InvalidInput(*request["refused"]))
            continue
        try:
            asked[-1] = _ask(model, msgspec.convert(request, Choices), default, truncate)
        except InvalidInput as error:
            shard.texts[row] = None
            _refuse(shard, asked, row, error)
    return asked


def refuse_long(model: Model, shard: Shard, asked: list[Asked], tokenized: Tokenized) -> None:
    """Refuse requests of a window with a text that is too long, if they want it whole."""
    first, rows = tokenized.window.start, tokenized.rows
    for place in np.flatnonzero(np.isin(tokenized.text_of, tokenized.cut)).tolist():
        row = first + int(rows[place])
        if asked[row].options.refuse_long and row not in shard.errors:
            _refuse(shard, asked, row, too_long(model, place - int(np.searchsorted(rows, rows[place]))))


def _refuse(shard: Shard, asked: list[Asked], row: int, error: RequestError) -> None:
    shard.errors[row] = f"row {shard.first + row + 1} of the input: {error}"
    asked[row] = asked[row]._replace(refusal=error)


def _ask(model: Model, choices: Choices, default: Options, truncate: Truncate) -> Asked:
    options = choices.options(model, truncate)
    prompt = default.reading.prompt if options.reading.prompt is None else options.reading.prompt
    reading, dimensions = options.reading._replace(prompt=prompt), options.dimensions or default.dimensions
    check_dimensions(model, dimensions)
    model.tokenize([], reading)  # refuses a prompt that it cannot take
    return Asked(options._replace(reading=reading, dimensions=dimensions), choices.output())
