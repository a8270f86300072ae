"""A SentenceTransformer, loaded from a directory without its own code: what every backend is compared with."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from service.errors import ModelUnusable, first_line
from service.models import accuracy, kind, pipeline
from service.models.batches import Layout
from service.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

#: Names of missing weights that a message shows.
SHOWN_KEYS = 3

#: Two lengths between which a table of absolute positions is read further by their difference. Tables of relative
#: positions (T5, MPNet) are too, below 8 tokens.
POSITION_LENGTHS = (8, 40)


def load(directory: Path, device: str, threads: int) -> "SentenceTransformer":
    """Load the model in ``directory``, in the dtype of its weights.

    Raises:
        ModelUnusable: its files are damaged or incomplete, or it does not embed texts.
    """
    from sentence_transformers import SentenceTransformer

    kind.check(directory)
    model, missing = construct(SentenceTransformer, directory, device, threads)
    _check_modules(directory, model)
    _check_weights(directory, model, missing)
    _mention_prompts(directory, model)
    return model.eval()


def construct(build: "Callable[..., Loaded]", directory: Path, device: str, threads: int) -> "tuple[Loaded, list[str]]":
    """Return the model that sentence-transformers' class makes of ``directory``, and the names of weights it lacks.

    Raises:
        ModelUnusable: the files are damaged.
    """
    import torch
    import transformers

    for library in ("sentence_transformers", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    try:
        with _mark_missing_weights() as missing:
            return build(str(directory), device=device, trust_remote_code=False), missing
    except Exception as error:  # noqa: BLE001  # damaged files make three libraries raise what they like
        raise ModelUnusable(f"{directory} cannot be loaded: {_explain(error)}") from None


def layout_of(model: "SentenceTransformer") -> Layout:
    """Return how the model's first module takes a batch."""
    if _transformer(model) is None:
        return Layout("flat")
    return Layout("padded", model.tokenizer.pad_token_id or 0, model.tokenizer.padding_side)


def tokenizer_of(model: "SentenceTransformer", layout: Layout) -> Tokenizer:
    """Return the model's tokenizer as ``encode`` uses it, cut where its positions end."""
    padded = layout.kind == "padded"
    model.preprocess(["a"])  # sets the side and the length at which the Rust tokenizer cuts
    rust = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    tokenizer = Tokenizer(
        rust.to_str(),
        special_tokens=padded,
        split_special_tokens=rust.encode_special_tokens,
        vocabulary_size=pipeline.count_vocabulary(model),
    )
    [token_ids] = tokenizer.encode(["a"]).ids
    positions = _count_positions(model, layout, int(token_ids.max())) if padded else None
    if positions and positions < (tokenizer.max_length or positions + 1):
        tokenizer.limit(positions)
    if padded and tokenizer.max_length is None:
        tokenizer.limit(accuracy.LONGEST)
        log.warning(
            "the model sets no limit to a text's length: texts are cut at %d tokens; max_seq_length in "
            "sentence_bert_config.json sets another one",
            accuracy.LONGEST,
        )
    return tokenizer


@contextmanager
def plain_attention(model: "SentenceTransformer") -> Iterator[None]:
    """Compute attention and its masks with plain operations, as some families need to be traced.

    Not the first choice: at 8000 tokens it takes more memory.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask

    def mask_without_vmap(*arguments: Any, **options: Any) -> Any:
        return eager_mask(*arguments, **options | {"use_vmap": False})  # no tracer follows vmap

    if transformer := _transformer(model):
        transformer.model.set_attn_implementation("eager")
    ALL_MASK_ATTENTION_FUNCTIONS["eager"] = mask_without_vmap
    try:
        yield
    finally:
        ALL_MASK_ATTENTION_FUNCTIONS["eager"] = eager_mask


@contextmanager
def _mark_missing_weights() -> Iterator[list[str]]:
    """Fill with NaN the weights that transformers would initialise at random, and list their names.

    It tells of them only in a log line. A pooler that nothing reads may be missing; what is read shows in the vectors.
    """
    import transformers.modeling_utils

    modeling_utils: Any = transformers.modeling_utils
    missing: list[str] = []
    report = modeling_utils.log_state_dict_report

    def mark(*, model: Any, loading_info: Any, **others: Any) -> None:
        if loading_info.mismatched_keys:
            names = [name for name, *_ in loading_info.mismatched_keys]
            raise ValueError(f"config.json gives other shapes than the weights have: {_shorten(names)}")
        for name in loading_info.missing_keys:
            weight = model.get_parameter_or_buffer(name).data
            if weight.is_floating_point():
                weight.fill_(float("nan"))
                missing.append(name)
        report(model=model, loading_info=loading_info, **others)

    modeling_utils.log_state_dict_report = mark
    try:
        yield missing
    finally:
        modeling_utils.log_state_dict_report = report


def _transformer(model: "SentenceTransformer") -> Any:
    """Return the first module if it is a transformer, else None."""
    from sentence_transformers.base.modules import Transformer

    return model[0] if isinstance(model[0], Transformer) else None


def _check_modules(directory: Path, model: "SentenceTransformer") -> None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    if isinstance(model[0], StaticEmbedding):
        return
    transformer = _transformer(model)
    if transformer is None:
        raise ModelUnusable(
            f"{directory} begins with {type(model[0]).__name__}; serve a model that begins with Transformer or "
            "StaticEmbedding"
        )
    if "message" in transformer.modality_config:
        raise ModelUnusable(
            f"{directory} puts each text into a chat template, which is not supported; serve a model without one, or "
            'give "modality_config" in sentence_bert_config.json the modality "text" alone'
        )
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        raise ModelUnusable(
            f"{directory}: its tokenizer, {type(model.tokenizer).__name__}, has no Rust form; serve a model with a "
            "tokenizer.json"
        )
    if len(model.tokenizer) <= len(model.tokenizer.all_special_ids):
        raise ModelUnusable(f"{directory} has no tokenizer: add its tokenizer.json and tokenizer_config.json")


def _check_weights(directory: Path, model: "SentenceTransformer", missing: list[str]) -> None:
    transformer = _transformer(model)
    code = transformer is not None and getattr(transformer.model.config, "auto_map", None)
    if missing and not model.encode(["a"], show_progress_bar=False, convert_to_tensor=True).isfinite().all():
        hint = "; config.json names code of its own (auto_map), which is not run" if code else ""
        raise ModelUnusable(f"{directory} lacks weights: {_shorten(missing)}{hint}; serve a complete model")
    if code:
        log.warning("%s names code of its own (auto_map), which is not run: transformers' own code is", directory)


def _mention_prompts(directory: Path, model: "SentenceTransformer") -> None:
    names = [name for name, prompt in model.prompts.items() if prompt and name != model.default_prompt_name]
    if names:
        log.info("%s has prompts that a request may ask for: %s", directory, ", ".join(names))


def _count_positions(model: "SentenceTransformer", layout: Layout, token: int) -> int | None:
    """Return how many tokens the table of absolute positions has room for; None without one."""
    import torch

    read: dict[torch.nn.Embedding, list[int]] = {}

    def note(table: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(table, torch.nn.Embedding)
        if arguments:
            read.setdefault(table, []).append(int(arguments[0].max()))

    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    hooks = [table.register_forward_pre_hook(note) for table in tables]
    short, long = POSITION_LENGTHS
    try:
        with torch.inference_mode():
            for length in POSITION_LENGTHS:
                arrays = map(torch.from_numpy, layout.arrays([np.full(length, token, np.int32)]))
                model({name: array.to(model.device) for name, array in zip(layout.names, arrays, strict=True)})
    except (IndexError, RuntimeError):  # fewer than 40 positions: the comparison with encode tells
        return None
    finally:
        for hook in hooks:
            hook.remove()
    room = [table.num_embeddings - (at[-1] + 1 - long) for table, at in read.items() if at[-1] - at[0] == long - short]
    return min(room, default=None)


def _explain(error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return "it needs Python code of its own, which is not run; serve a model of an architecture in transformers"
    return first_line(error)


def _shorten(names: list[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - SHOWN_KEYS} more" if len(names) > SHOWN_KEYS else ""
    return ", ".join(names[:SHOWN_KEYS]) + more
