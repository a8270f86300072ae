"""A model of m3e-base's size with random weights: nothing about speed depends on what they are."""

import string
from pathlib import Path


def make(directory: Path) -> Path:
    """Save a BERT-base (12 layers, 768 wide, a Chinese vocabulary of 21128) with mean pooling, unless it is there."""
    if (directory / "modules.json").exists():
        return directory
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel, BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in string.ascii_lowercase)]
    vocabulary += [chr(0x4E00 + i) for i in range(21128 - len(vocabulary))]
    torch.manual_seed(0)
    bare = directory.with_name(directory.name + "-bare")
    BertModel(BertConfig(vocab_size=len(vocabulary))).save_pretrained(bare)
    BertTokenizerFast(vocab={token: i for i, token in enumerate(vocabulary)}).save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(768, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(directory))
    return directory
