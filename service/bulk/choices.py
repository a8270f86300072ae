"""What each request of a batch file chooses, followed as ``POST /v1/embeddings`` does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from service.api import outputs
from service.api.choices import Choices, Truncate
from service.bulk.shards import Shard
from service.engine.model import Model
from service.engine.options import Options
from service.errors import InvalidInput


class Asked(NamedTuple):
    """What a request asks for: of the engine, and of the answer as ``outputs.encode`` takes it."""

    options: Options = Options()
    output: tuple[outputs.Kind, bool, bool] = "float", False, False


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
            continue
        try:
            asked[-1] = _ask(model, msgspec.convert(request, Choices), default, truncate)
        except InvalidInput as error:
            shard.texts[row] = None
            shard.errors[row] = f"row {shard.first + row + 1} of the input: {error}"
    return asked


def _ask(model: Model, choices: Choices, default: Options, truncate: Truncate) -> Asked:
    options = choices.options(model, truncate)
    prompt = default.reading.prompt if options.reading.prompt is None else options.reading.prompt
    reading, dimensions = options.reading._replace(prompt=prompt), options.dimensions or default.dimensions
    if not 0 <= (dimensions or 0) <= model.dimension:
        raise InvalidInput(f"dimensions: the model has {model.dimension}")
    model.tokenize([], reading)  # refuses a prompt that it cannot take
    return Asked(options._replace(reading=reading, dimensions=dimensions), choices.output())
