"""How many tokens a batch has, and that what a forward costs is measured once."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest

from service.models import budget
from service.models.budget import Cost
from tests.fakes import FakeModel


class SlowModel(FakeModel):
    """A forward takes 2 ms, and 0.1 ms a token, by a clock of its own."""

    seconds = 0.0

    def clock(self):
        return self.seconds

    def embed(self, batch):
        self.seconds += 0.002 + 0.0001 * sum(map(len, batch))
        return super().embed(batch)


class Silent(FakeModel):
    """Makes no tokens of any text."""

    def tokenize(self, inputs):
        return super().tokenize([""] * len(inputs))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "costs.json"


def test_what_a_forward_costs_is_told_apart_from_its_tokens():
    model = SlowModel()

    assert budget.measure(model, model.clock) == pytest.approx((0.002, 0.0001))


def test_a_forward_is_a_twentieth_of_a_full_batch():
    assert Cost(0.001, 0.0001).budget(threads=1) == 190


def test_more_threads_compute_more_tokens():
    assert Cost(0.001, 0.0001).budget(threads=4) == 760


@pytest.mark.parametrize(
    ("cost", "tokens"),
    [
        (Cost(0.001, 0.001), 128),
        (Cost(0.1, 0.0001), 1000),  # a tenth of a second
        (Cost(0.1, 0.000001), 2048),
        (Cost(0.0, 0.0001), 128),
    ],
)
def test_a_batch_is_neither_tiny_nor_long(cost, tokens):
    assert cost.budget(threads=1) == tokens


def test_the_second_load_measures_nothing(path):
    first = budget.choose(path, FakeModel(), threads=2)
    model = FakeModel()

    assert budget.choose(path, model, threads=2) == first
    assert model.batches == []


@pytest.mark.parametrize(("dtype", "threads"), [("bfloat16", 2), ("float32", 1)])
def test_another_dtype_or_share_of_the_cores_is_measured(path, dtype, threads):
    budget.choose(path, FakeModel(), threads=2)
    model = FakeModel()
    model.dtype = dtype
    budget.choose(path, model, threads)

    assert model.batches


def test_another_model_is_measured(path):
    budget.choose(path, FakeModel(), threads=2)
    model = FakeModel()
    model.fingerprint = "fb" * 32
    budget.choose(path, model, threads=2)

    assert model.batches


def test_another_cpu_is_measured(path, monkeypatch):
    budget.choose(path, FakeModel(), threads=2)
    monkeypatch.setattr(budget.cpu, "name", lambda: "another")
    model = FakeModel()
    budget.choose(path, model, threads=2)

    assert model.batches


def test_what_cannot_be_kept_is_not_measured(path):
    model = FakeModel()

    assert budget.choose(path / "none", model, threads=2) == model.max_batch_tokens
    assert model.batches == []


@contextmanager
def full_disk():
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_what_a_full_disk_cannot_keep_serves_this_start(path, monkeypatch):
    monkeypatch.setattr(budget, "measure", lambda _: Cost(0.001, 0.0001))

    with full_disk():
        tokens = [budget.choose(path, FakeModel(), threads=1) for _ in range(2)]

    assert tokens == [190, 190]


def test_costs_that_cannot_be_read_are_measured_again(path):
    path.write_text("{")
    first = budget.choose(path, FakeModel(), threads=2)
    model = FakeModel()

    assert budget.choose(path, model, threads=2) == first
    assert model.batches == []


def test_a_model_without_tokens_keeps_its_own(path):
    model = Silent()

    assert budget.choose(path, model, threads=2) == model.max_batch_tokens


def test_the_texts_that_are_measured_have_the_tokens_they_should():
    model = FakeModel()

    assert [np.shape(budget._batch(model, *shape)) for shape in budget.SHAPES] == list(budget.SHAPES)
