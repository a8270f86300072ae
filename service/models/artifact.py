"""A model's compiled form on disk: where it is, what it is, and whether it may still be used.

    EMBED_CACHE_DIR/NAME-KEY/
        manifest.json      what the model is, and how near it comes to the reference
        model.xml, .bin    the whole pipeline as OpenVINO reads it
        tokenizer.json     the Rust tokenizer
        probes.json        texts and the reference's vectors for them, to judge it on another CPU
        seal.json          the state of these files when their digests were last found right
        costs.json         what a forward costs, by CPU, dtype and threads, as each was first loaded

KEY stands for everything that the artifact depends on: the content of the model's files, the versions of the packages
that read it, and FORMAT. An artifact appears complete and its model never changes, so two releases may share a
cache directory, and a rollback finds its artifact. ``cache.prune`` removes old ones.
"""

import fcntl
import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

import msgspec
import numpy as np

from service.engine.model import TokenIds, Vectors
from service.models import digests, fingerprint
from service.models.batches import Layout
from service.models.prompts import Prompts
from service.models.sources import Source

#: Counts up when older artifacts must not be used any more.
FORMAT = 3

#: Artifacts made with another version of these may be read or computed differently.
RUNTIME = ("openvino", "tokenizers")


class Stale(Exception):
    """The artifact has to be built first; the message says why in a few words."""


class Scoring(msgspec.Struct, frozen=True):
    """How a model scores pairs.

    Args:
        activation: what makes a score of the number that the model gives.
        typed: whether the model is told which tokens are of the document.
    """

    activation: Literal["sigmoid", "identity"]
    typed: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True, tag="compiled"):
    """Describes an artifact."""

    name: str
    versions: dict[str, str]
    files: dict[str, str] = {}
    dimension: int
    pooling: str
    #: The model's last module is Normalize, which the graph leaves out.
    normalizes: bool
    prompts: Prompts
    vocabulary_size: int
    special_tokens: bool
    split_special_tokens: bool
    #: Only texts of one length may share a batch.
    equal_lengths: bool
    layout: Layout
    cpu: str
    #: By dtype: the smallest cosine to the reference over the probes, measured on ``cpu``.
    cosines: dict[str, float] = {}
    #: How a model that scores pairs does; None if it embeds texts.
    scoring: Scoring | None = None
    #: By dtype: the largest difference from the reference's scores over the probes, in their standard deviations,
    #: measured on ``cpu``.
    differences: dict[str, float] = {}


class Unsupported(msgspec.Struct, frozen=True, kw_only=True, tag="unsupported"):
    """Takes the place of a manifest, and of all other files, if OpenVINO cannot run the model."""

    name: str
    versions: dict[str, str]
    reason: str


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
        self.source = source
        self.cache = cache
        self.stem = source.stem

    @cached_property
    def directory(self) -> Path:
        """The artifact's place, which follows from the content of the model's files.

        Raises:
            ModelUnusable: they cannot be read.
        """
        return self.cache / f"{self.stem}-{cache_key(self.source.name, self.digests)}"

    @cached_property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each of the model's files when they were first looked at.

        Raises:
            ModelUnusable: one cannot be read.
        """
        return fingerprint.digest(self.source, self.cache)

    def use(self) -> Manifest | Unsupported:
        """Return the manifest; as long as this process lives, ``cache.prune`` leaves the artifact alone.

        Raises:
            Stale: the artifact has to be built first.
        """
        with suppress(OSError):  # it is not there, or the file system has no locks
            fcntl.flock(os.open(self.directory, os.O_RDONLY), fcntl.LOCK_SH)
            os.utime(self.directory)
        return self.manifest()

    def manifest(self) -> Manifest | Unsupported:
        """Return the manifest.

        Raises:
            Stale: there is none, or it does not describe the files.
        """
        try:
            content = (self.directory / "manifest.json").read_bytes()
            manifest = msgspec.json.decode(content, type=Manifest | Unsupported)
        except FileNotFoundError:
            raise Stale("it was not compiled yet") from None
        except (OSError, msgspec.DecodeError) as error:
            raise Stale(f"its manifest cannot be read: {error}") from None
        if isinstance(manifest, Manifest):
            self._check_files(manifest)
        return manifest

    def probes(self) -> Probes:
        """Return what the artifact is judged by on a CPU other than the one that made it."""
        return msgspec.json.decode((self.directory / "probes.json").read_bytes(), type=Probes)

    def publish(self, draft: Path, manifest: Manifest | Unsupported) -> None:
        """Put the finished directory ``draft`` in this artifact's place, with its manifest."""
        (draft / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        for path in draft.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # there is one only if it was damaged; it ends with the draft's parent
            self.directory.rename(draft.parent / "damaged")
        draft.rename(self.directory)

    def _check_files(self, manifest: Manifest) -> None:
        try:
            found = digests.compute(self.directory, manifest.files, self.directory / "seal.json")
        except OSError as error:
            raise Stale(f"its files were damaged: {error}") from None
        if found != manifest.files:
            raise Stale("its files were damaged")


def cache_key(name: str, source: Mapping[str, str]) -> str:
    """Return a stable key: 16 hex digits of the SHA-256 of all that an artifact depends on.

    Args:
        name: the model's public name, which the artifact holds.
        source: the digests of the model's files.
    """
    depends = [FORMAT, name, {package: version(package) for package in RUNTIME}, source]
    return hashlib.sha256(msgspec.json.encode(depends, order="deterministic")).hexdigest()[:16]
