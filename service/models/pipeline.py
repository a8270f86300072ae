"""What the modules of a loaded SentenceTransformer say of it."""

from typing import TYPE_CHECKING, Any

from service.models.prompts import Prompts

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

#: The name under which the modules hand on the vectors of texts.
VECTORS = "sentence_embedding"


def split(model: "SentenceTransformer") -> tuple["torch.nn.Sequential", bool]:
    """Return the modules without a last Normalize, and whether there is one."""
    import torch
    from sentence_transformers.base.modules import Normalize

    modules = list(model.children())
    last = modules[-1]
    normalizes = isinstance(last, Normalize) and last.module_input_name == last.module_output_name == VECTORS
    return torch.nn.Sequential(*modules[: len(modules) - normalizes]), normalizes


def pooling_of(model: "SentenceTransformer") -> str:
    """Return how the vectors of tokens become one: "mean", several as "cls+mean", or "" if no module does that."""
    modes = [module.pooling_mode for module in _poolings(model)]
    return "+".join([modes[0]] if isinstance(modes[0], str) else modes[0]) if modes else ""


def prompts_of(model: "SentenceTransformer") -> Prompts:
    """Return the prompts that a request may choose from: only the default one if pooling leaves it out."""
    texts = {name: prompt or "" for name, prompt in model.prompts.items()}
    default = model.default_prompt_name if texts.get(model.default_prompt_name or "") else None
    if all(module.include_prompt for module in _poolings(model)):
        return Prompts(texts, default)
    return Prompts({default: texts[default]} if default else {}, default, fixed=True)


def count_vocabulary(model: "SentenceTransformer") -> int:
    """Return the number below which the ids of tokens are that the tokenizer knows and the model has vectors for."""
    first: Any = model[0]
    rust = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    table = first.embedding if hasattr(first, "embedding") else first.model.get_input_embeddings()
    return min(int(table.num_embeddings), 1 + int(max(rust.get_vocab().values())))


def _poolings(model: "SentenceTransformer") -> list[Any]:
    from sentence_transformers.sentence_transformer.modules import Pooling

    return [module for module in model.modules() if isinstance(module, Pooling)]
