"""Texts of every length, and small models made of the real one's parts."""

import random
from pathlib import Path

from service.models import sources
from service.models.sources import Source

WORDS = ["time", "year", "people", "way", "day", "thing", "world", "life", "hand", "part", "child", "eye", "place"]
CHINESE = "今天天气真好我们去公园散步吧机器学习模型把文本变成向量语义检索需要嵌入"


def collection(count, longest=600, seed=20):
    """Texts of 1 to ``longest`` words or characters, every third Chinese."""
    rng = random.Random(seed)
    lengths = [1 + round((longest - 1) * (i / (count - 1)) ** 2) for i in range(count)]
    texts = [
        "".join(rng.choices(CHINESE, k=n)) if i % 3 == 0 else " ".join(rng.choices(WORDS, k=n))
        for i, n in enumerate(lengths)
    ]
    rng.shuffle(texts)
    return texts


def saved(directory, *modules, **options):
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=modules, device="cpu", **options).save(str(directory))
    return Source("variant", Path(directory))


def pieces():
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    transformer = Transformer(str(sources.find("all-MiniLM-L6-v2").directory))
    return transformer, Pooling
