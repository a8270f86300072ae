"""A corpus, a model that a spawned process can load, and what a run left."""

import json
import os
import resource
import signal
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np

from service.bulk.processes import Processes
from service.bulk.runner import Plan, Run
from service.bulk.sources import Source
from service.engine.model import Reading
from service.errors import InvalidInput
from service.settings import Settings
from tests.fakes import FakeModel

OPTIONS = {
    "prompt": None,
    "dimensions": None,
    "type": "float32",
    "write": "jsonl",
    "columns": {"id": "id"},
    "shard_rows": 50,
}


CPU = Settings(device="cpu")

#: A batch may wait for a test.
PATIENT = Settings(device="cpu", batch_timeout=600)


def load(*_):
    return FakeModel()


class Slow(FakeModel):
    """Takes 2 ms a batch, and ends its process on a text with the word "deadly"."""

    def embed(self, batch):
        time.sleep(0.002)
        if any("deadly" in "".join(map(chr, ids)) for ids in batch):
            os._exit(9)
        return super().embed(batch)


def load_slow(*_):
    return Slow()


class Held(FakeModel):
    """Computes texts with the word "held" once a file is there: a run waits for its test, however slow that is."""

    def __init__(self, go):
        super().__init__()
        self.go = go

    def embed(self, batch):
        while not self.go.exists() and any("held" in "".join(map(chr, ids)) for ids in batch):
            time.sleep(0.01)
        return super().embed(batch)


def load_held(go, *_):
    return Held(go)


def load_on_a_full_disk(*_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    return FakeModel()


def load_when_told(directory, _, number, *__):
    """Leave a file in the directory, and wait there for another."""
    (directory / f"loads-{number}").touch()
    while not (directory / "go").exists():
        time.sleep(0.01)
    return FakeModel()


class Renamed(FakeModel):
    fingerprint = "0b" * 32


def load_renamed(*_):
    return Renamed()


def load_at_the_third_try(*_):
    """Count the tries in a file of the working directory."""
    with Path("tries").open("a+") as tries:
        tries.write("x")
        if tries.tell() < 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return FakeModel()


class Choosy(FakeModel):
    """Has what requests choose between: prompts, places to cut, and lengths of vectors."""

    max_length = 12
    normalizes = True
    prompts = MappingProxyType({"query": "q: ", "passage": "p: ", "other": "o: "})
    default_prompt = "passage"

    def tokenize(self, inputs, reading=Reading()):  # noqa: B008  # immutable
        if reading.prompt == self.prompts["other"]:
            raise InvalidInput("the model leaves its prompt out of the vectors")
        return super().tokenize(inputs, reading)


def load_choosy(*_):
    return Choosy()


class Sociable(FakeModel):
    """Gives every text of a batch the sum of the batch's lengths."""

    def embed(self, batch):
        return super().embed(batch) + sum(map(len, batch))


def load_sociable(*_):
    return Sociable()


def load_never(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def load_mixed(_, number, *__):
    return Renamed() if number == 2 else FakeModel()


def write(path, texts):
    lines = [json.dumps({"id": f"d{index}", "text": text}) for index, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n")
    return path


def texts(count):
    """Texts of 1 to 40 characters, every fifth of them equal to an earlier one."""
    return [f"{index - index % 5 // 4}".ljust(1 + index % 40, "x") for index in range(count)]


def held_texts(free, held):
    """Texts of which so many are computed at once."""
    return [f"{index} ".ljust(20, "x") for index in range(free)] + [f"held {index}" for index in range(held)]


def embed(  # noqa: PLR0913  # each is what one test is about
    path, out, loader=load, *, devices=("cpu",), fresh=False, settings=CPU, start=Processes, **options
):
    asked = OPTIONS | options
    plan = Plan(
        out=out, options=asked, suffix="jsonl", devices=list(devices), shard_rows=asked["shard_rows"], fresh=fresh
    )
    source = Source([str(path)], "text", asked["columns"])
    return Run(plan, source, loader, settings, start=start).run()


def rows(out):
    """The rows of all parts, in the order of the input."""
    return [
        json.loads(line) for part in sorted(Path(out).glob("part-*.jsonl")) for line in part.read_text().splitlines()
    ]


def vectors(out):
    return np.array([row["vector"] for row in rows(out)])
