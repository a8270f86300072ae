"""A model of m3e-base's size with random weights: their values do not change the speed."""

import json
import string
from pathlib import Path

#: The format of sentence-transformers 2 to 6: contenders bring their own version.
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
POOLING = {"word_embedding_dimension": 768, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def save_model(directory: Path) -> Path:
    """Save a BERT-base with mean pooling and a Chinese vocabulary of 21128, unless the directory has one."""
    if (directory / "modules.json").exists():
        return directory
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in string.ascii_lowercase)]
    vocabulary += [chr(0x4E00 + i) for i in range(21128 - len(vocabulary))]
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(vocabulary))).save_pretrained(directory)
    BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}).save_pretrained(directory)
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(POOLING))
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 512}))
    (directory / "modules.json").write_text(json.dumps(MODULES))
    return directory
