"""The texts of each workload, generated from a seed: every run sends the same."""

import random
from collections.abc import Callable
from typing import NamedTuple

WORDS = """
time year people way day thing world life hand part child eye place work week case point government company
number group problem fact river morning engine letter market window question answer history paper signal
""".split()
CHINESE = "今天天气真好我们去公园散步吧机器学习模型把文本变成向量语义检索需要嵌入城市交通报告显示经济增长速度放缓"

#: The workload with so many short texts that every batch is full.
CEILING = "q2048"


class Workload(NamedTuple):
    """Request bodies that clients send in turn.

    ``texts`` has a list of texts for each body. ``pause`` is the mean of a client's seconds between an answer and its
    next request; with 0 the loop is closed. ``longer`` multiplies the seconds of a run.
    """

    name: str
    title: str
    texts: list[list[str]]
    clients: int
    encoding: str = "float"
    pause: float = 0.0
    longer: int = 1


Writer = Callable[[random.Random, int], str]


def english(rng: random.Random, length: int) -> str:
    """Generate ``length`` words."""
    return " ".join(rng.choices(WORDS, k=length))


def chinese(rng: random.Random, length: int) -> str:
    """Generate ``length`` characters."""
    return "".join(rng.choices(CHINESE, k=length))


def query(rng: random.Random, write: Writer = english, length: int = 9) -> str:
    """Generate a short, distinct text: 9 words and a number are 13 tokens of MiniLM."""
    return f"{write(rng, length)} {rng.randrange(10_000)}"


def document(rng: random.Random, write: Writer = english) -> str:
    """Generate a text of 5 to 220 words or characters, 66 on average, one token each."""
    return write(rng, max(5, min(220, int(rng.lognormvariate(4.0, 0.65)))))


def workloads(write: Writer = english, seed: int = 7) -> list[Workload]:
    """Return the workloads of the comparison."""
    rng = random.Random(seed)
    queries = [[query(rng, write)] for _ in range(2000)]
    documents = [[document(rng, write) for _ in range(32)] for _ in range(40)]
    full = [[query(rng, write) for _ in range(2048)]]
    return [
        Workload("q1", "one short text, 1 client", queries, 1),
        Workload("q32", "one short text, 32 clients", queries, 32),
        Workload("q256", "one short text, 256 clients", queries, 256),
        Workload("open", "one short text, 256 clients of 1 request a second each", queries, 256, pause=1.0),
        Workload("d1", "32 mixed documents, 1 client", documents, 1, longer=4),
        Workload("d8", "32 mixed documents, 8 clients", documents, 8, longer=4),
        Workload("d8b64", "the same as base64", documents, 8, encoding="base64", longer=4),
        Workload(CEILING, "2048 short texts, 1 client, texts a second", full, 1, longer=2),
        Workload("zh32", "one Chinese sentence, 32 clients", [[chinese(rng, 24)] for _ in range(2000)], 32),
    ]


def bulk(write: Writer = english, seed: int = 8) -> Workload:
    """Return one request of 2048 documents."""
    rng = random.Random(seed)
    return Workload("bulk", "2048 documents in one request", [[document(rng, write) for _ in range(2048)]], 1)
