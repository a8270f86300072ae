"""What tells two models apart whose vectors differ: the content of their files, and the dtype they run in."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from service.models import digests, files
from service.models.sources import Source


def digest(source: Source, cache: Path | None) -> dict[str, str]:
    """Return the SHA-256 of each of the model's files.

    Args:
        source: the model.
        cache: the directory that remembers them, made if need be; without one that can be written all is read.

    Raises:
        ModelUnusable: a file cannot be read.
    """
    memo = None
    if cache:
        place = hashlib.sha256(os.fsencode(source.directory.resolve())).hexdigest()[:16]
        memo = cache / f".{source.stem}-{place}.digests"
        with suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
    try:
        return digests.compute(source.directory, files.find(source.directory), memo)
    except OSError as error:
        raise files.explain(error) from None


def compute(source: Mapping[str, str], dtype: str) -> str:
    """Return 64 hex digits that are the same wherever the same files run in the same dtype.

    Args:
        source: the digests of the model's files.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
    """
    return hashlib.sha256(msgspec.json.encode([dtype, source], order="deterministic")).hexdigest()
