"""Export a model for ONNX Runtime. Infinity's Python runs this: optimum 1.24 cannot do it with torch 2.13."""

import shutil
import sys
import warnings
from pathlib import Path


def export(model: Path, directory: Path) -> None:
    """Write the encoder, whose last hidden state is the output, beside its tokenizer and its configuration."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    shutil.copytree(model, directory, ignore=shutil.ignore_patterns("*.safetensors"))
    encoder = AutoModel.from_pretrained(model, attn_implementation="eager").eval()
    encoder.config.return_dict = False
    batch = AutoTokenizer.from_pretrained(model)(["a text", "one that is longer"], padding=True, return_tensors="pt")
    names = list(encoder.forward.__code__.co_varnames[1:4])
    axes = {name: {0: "texts", 1: "tokens"} for name in [*names, "last_hidden_state"]}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's
        torch.onnx.export(
            encoder,
            tuple(batch[name] for name in names),
            directory / "model.onnx",
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes=axes,
            dynamo=False,
        )


if __name__ == "__main__":
    export(*map(Path, sys.argv[1:]))
