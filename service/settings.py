"""The settings: ``EMBED_*`` environment variables, read once, typed; an unknown name is refused."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from service import variables
from service.errors import BadSetting, split_complaint
from service.variables import PREFIX

ROOT = Path(__file__).parent.parent

Count = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default; README.md explains each, and a test holds the two together.

    Those that ``uwsgi.ini`` and the monitor read are here to be checked.
    """

    model: Annotated[str, Meta(min_length=1)] = "all-MiniLM-L6-v2"
    revision: Annotated[str, Meta(min_length=1)] = "main"
    model_aliases: str = ""
    rerank_model: str = ""
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    backend: Literal["auto", "torch", "openvino"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    cache_dir: Annotated[str, Meta(min_length=1)] = "~/.cache/uwsgi-embeddings"
    max_batch_tokens: Literal["auto"] | Count = "auto"
    max_queue_tokens: Count = 2**20
    max_inputs: Count = 2048
    max_body_bytes: Count = 32 * 2**20
    cache_items: Annotated[int, Meta(ge=0)] = 16384
    truncate: Literal["auto", "left", "right", "off"] = "auto"
    token_ids: Literal["auto", "own", "cl100k"] = "auto"  # noqa: S105  # no secret
    request_timeout: Annotated[float, Meta(gt=0)] = 300.0
    batch_timeout: Literal["auto"] | Annotated[float, Meta(gt=0)] = "auto"
    log_format: Literal["text", "json"] = "text"
    log_requests: Literal["all", "slow", "errors"] = "slow"
    slow_seconds: Annotated[float, Meta(gt=0)] = 5.0
    api_keys_file: str = ""
    cors_origins: str = ""
    otel_endpoint: Annotated[str, Meta(pattern=r"^(https?://[^\s@]+)?$")] = ""
    web: Literal["on", "off"] = "on"
    batches: str = ""
    batches_bytes: Count = 8 * 2**30
    batches_seconds: Count = 30 * 24 * 3600

    http: str = "127.0.0.1:5000"
    socket: str = ""
    workers: Count = 1
    threads: Annotated[int, Meta(ge=2)] = 64
    run_dir: str = ""
    monitor: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the ``EMBED_*`` variables of ``environ``; one that is set but empty counts as unset.

        Raises:
            BadSetting: a name is unknown or a value does not fit; the message names the variable.
        """
        given = variables.read(environ)
        for name in given:
            if name not in cls.variables():
                raise BadSetting(f"{name} is not a setting{_suggestion(name, cls.variables())}")
        try:
            return msgspec.convert({_field(name): value for name, value in given.items()}, cls, strict=False)
        except msgspec.ValidationError as error:
            raise BadSetting(_explain(str(error), given)) from None

    def each_model(self) -> list[Self]:
        """Return the settings of each model, which EMBED_MODEL lists; of the Hub's, EMBED_REVISION has the revisions.

        Raises:
            BadSetting: a name is empty or listed twice, or there are fewer or more revisions than models.
        """
        return self._each()[: len(_split(self.model))]

    def reranker(self) -> Self | None:
        """Return the settings of the model that scores pairs, EMBED_RERANK_MODEL, as if it were EMBED_MODEL.

        Raises:
            BadSetting: as ``each_model`` does.
        """
        return self._each()[-1] if self.rerank_model else None

    def _each(self) -> list[Self]:
        models, revisions = _split(self.model), _split(self.revision)
        if not all(models) or len(set(models)) < len(models):
            raise BadSetting(f"EMBED_MODEL={self.model}: name each model once, with a comma between two")
        models += [self.rerank_model] if self.rerank_model else []
        if len(revisions) == 1:
            revisions *= len(models)
        if not all(revisions) or len(revisions) != len(models):
            raise BadSetting(
                f"EMBED_REVISION={self.revision}: give one revision for all models, or one for each of the "
                f"{len(models)}, in the order of EMBED_MODEL and with that of EMBED_RERANK_MODEL last; main for those "
                "that are not from the Hub"
            )
        pairs = zip(models, revisions, strict=True)
        return [msgspec.structs.replace(self, model=model, revision=revision) for model, revision in pairs]

    def address(self) -> str:
        """Return where ``uwsgi.ini`` makes uWSGI listen, for a person to read."""
        return self.socket or f"http://{self.http}"

    def run_path(self) -> Path:
        """Return the run directory: ``EMBED_RUN_DIR``, else ``run`` beside ``uwsgi.ini``."""
        return Path(self.run_dir or ROOT / "run")

    def origins(self) -> list[str]:
        """Return the origins of EMBED_CORS_ORIGINS in lower case, as browsers send them."""
        return [origin.strip().lower() for origin in self.cors_origins.split(",") if origin.strip()]

    def max_requests(self) -> int:
        """Return how many requests a worker holds: some threads stay free to refuse others, and for probes."""
        return max(1, self.threads - max(1, self.threads // 8))

    @classmethod
    def variables(cls) -> dict[str, object]:
        """Return the variables and their defaults, in the order above."""
        return {PREFIX + field.name.upper(): field.default for field in msgspec.structs.fields(cls)}


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _field(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the settings are {', '.join(known)}"


def _explain(complaint: str, given: Mapping[str, str]) -> str:
    field, problem = split_complaint(complaint)
    name = PREFIX + field.upper()
    return f"{variables.show(name, given[name])}: {problem}"
