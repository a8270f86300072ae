"""A model's compiled form on disk: where it is, what it was made from, and whether it may still be used.

    EMBED_CACHE_DIR/NAME-KEY/
        manifest.json      what the model is, what it was made from, how near it comes to the reference
        model.xml, .bin    the whole pipeline as OpenVINO reads it
        tokenizer.json     the Rust tokenizer
        probes.json        texts and the reference's vectors for them, to judge it on another CPU
        seal.json          sizes and times of these files and of the source's when they were last found right

A directory appears complete or not at all. KEY stands for the source's identity, mostly its path: a model that
changed in place is noticed by its files' sizes and times, then by their hashes, and its artifact is replaced.
"""

import hashlib
import json
import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from service.engine.model import TokenIds, Vectors
from service.models import sources
from service.models.batches import Layout
from service.models.sources import Source

#: Counts up when older artifacts must not be used any more.
FORMAT = 1

#: Artifacts made with another version of these may be read or computed differently.
RUNTIME = ("openvino", "tokenizers")

Seal = dict[str, tuple[int, int]]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact is. One with a ``problem`` holds no graph: it remembers why this model cannot be compiled."""

    format: int = FORMAT
    name: str
    source: dict[str, str]
    versions: dict[str, str]
    problem: str = ""
    files: dict[str, str] = {}
    dimension: int = 0
    max_length: int | None = None
    prompt: str = ""
    special_tokens: bool = True
    layout: Layout = Layout("padded")
    cpu: str = ""
    #: By dtype: the smallest cosine to the reference over the probes, measured on ``cpu``.
    cosines: dict[str, float] = {}


class Probes(msgspec.Struct, frozen=True):
    """The token ids of n texts and the reference's vectors, little-endian float32, row by row, in base64."""

    tokens: list[list[int]]
    vectors: str

    @classmethod
    def of(cls, token_ids: Sequence[TokenIds], vectors: Vectors) -> Self:
        """Encode both."""
        return cls([each.tolist() for each in token_ids], b64encode(vectors.astype("<f4").tobytes()).decode())

    def token_ids(self) -> list[TokenIds]:
        """Return the token ids of each text."""
        return [np.array(each, np.int32) for each in self.tokens]

    def expected(self) -> Vectors:
        """Return the reference's vectors, float32 of shape (n, dimension)."""
        return np.frombuffer(b64decode(self.vectors), "<f4").reshape(len(self.tokens), -1)


class Artifact:
    """The compiled form of one source, whether or not it is there yet.

    Args:
        source: the model.
        cache: the directory that holds all artifacts.
    """

    def __init__(self, source: Source, cache: Path) -> None:
        key = hashlib.sha256(sources.cache_key(source).encode()).hexdigest()[:12]
        self.source = source
        self.cache = cache
        self.directory = cache / f"{source.name.replace('/', '--')}-{key}"

    def manifest(self) -> Manifest | str:
        """Return the manifest if the artifact may be used, else a few words on why it may not."""
        try:
            manifest = msgspec.json.decode((self.directory / "manifest.json").read_bytes(), type=Manifest)
        except FileNotFoundError:
            return "it was not compiled yet"
        except (OSError, msgspec.DecodeError) as error:
            return f"its manifest cannot be read: {error}"
        if manifest.format != FORMAT:
            return "its format is of another release"
        for package, used in manifest.versions.items():
            if package in RUNTIME and version(package) != used:
                return f"it was made with {package} {used}"
        return self._damage(manifest) or manifest

    def probes(self) -> Probes:
        """Return what the artifact is judged by on a CPU other than the one that made it."""
        return msgspec.json.decode((self.directory / "probes.json").read_bytes(), type=Probes)

    def publish(self, draft: Path, manifest: Manifest) -> None:
        """Put the finished directory ``draft`` in this artifact's place, with its manifest and seal."""
        (draft / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        self._write_seal(draft, manifest)
        for path in draft.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(self.directory, ignore_errors=True)
        draft.rename(self.directory)

    def _damage(self, manifest: Manifest) -> str:
        """Say what is wrong with the files; hash them only if a size or time is not the one that was last right."""
        try:
            sealed = msgspec.json.decode((self.directory / "seal.json").read_bytes(), type=Seal)
            if sealed == self._seal(self.directory, manifest):
                return ""
        except (OSError, msgspec.DecodeError):
            pass
        if sources.digests(self.source.directory, sources.files(self.source)) != manifest.source:
            return "the model has changed"
        if sources.digests(self.directory, manifest.files) != manifest.files:
            return "its files were damaged"
        with suppress(OSError):  # on a read-only disk they are hashed at every start
            self._write_seal(self.directory, manifest)
        return ""

    def _write_seal(self, directory: Path, manifest: Manifest) -> None:
        (directory / "seal.json").write_text(json.dumps(self._seal(directory, manifest)))

    def _seal(self, directory: Path, manifest: Manifest) -> Seal:
        ours = {f"artifact/{name}": directory / name for name in manifest.files}
        theirs = {f"source/{name}": self.source.directory / name for name in sources.files(self.source)}
        stats = {name: path.stat() for name, path in (ours | theirs).items() if path.exists()}
        return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}
