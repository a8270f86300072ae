import time

import numpy as np
import pytest

from service.engine.engine import SLICE_CHARACTERS
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.limits import Limits
from service.engine.options import Options
from service.errors import ClientGone, DeadlinePassed, InvalidInput, ModelFailed, TooLong
from tests.fakes import StuckModel, vector_of


@pytest.fixture
def engine(model):
    engines = Engines([model], Host(pytest.fail))
    yield engines.find()
    engines.close()


def test_vectors_come_in_the_order_of_the_texts(engine):
    texts = ["a long text " * 9, "b", "", "middling text", "b"]

    embeddings = engine.embed(texts)

    assert embeddings.vectors.dtype == np.float32
    assert embeddings.vectors.tolist() == [vector_of(text) for text in texts]


def test_tokens_are_counted_for_equal_texts_too(engine):
    assert engine.embed(["four", "four"]).tokens == 8


def test_dimensions_cuts_and_renormalises(engine):
    vector = engine.embed(["abc"], Options(dimensions=2)).vectors[0]

    assert vector.shape == (2,)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert vector[1] / vector[0] == pytest.approx(ord("a") / 3)


@pytest.mark.parametrize("dimensions", [None, 0, 4])
def test_no_dimensions_zero_and_all_of_them_change_nothing(engine, dimensions):
    assert engine.embed(["abc"], Options(dimensions=dimensions)).vectors.tolist() == [vector_of("abc")]


@pytest.mark.parametrize("dimensions", [-1, 5])
def test_dimensions_out_of_range_are_refused_with_the_range(engine, dimensions):
    with pytest.raises(InvalidInput, match="between 1 and 4"):
        engine.embed(["abc"], Options(dimensions=dimensions))


def test_a_model_that_fails_fails_the_request(engine):
    with pytest.raises(ModelFailed):
        engine.embed(["poison"])


@pytest.fixture
def stuck():
    model = StuckModel()
    engines = Engines([model], Host(pytest.fail), Limits(request_timeout=1000))
    yield engines.find()
    model.released.set()
    engines.close()


def test_a_request_past_its_deadline_is_told_so(stuck, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("service.engine.engine.time.monotonic", lambda: now[0])

    def wait_long():
        now[0] += 600

    with pytest.raises(DeadlinePassed, match="before its deadline"):
        stuck.embed(["a"], is_gone=wait_long)


def test_a_request_whose_client_is_gone_is_given_up(stuck):
    with pytest.raises(ClientGone):
        stuck.embed(["a"], is_gone=stuck.model.started.is_set)


def test_what_waits_of_a_cancelled_request_is_never_computed(stuck):
    with pytest.raises(ClientGone):
        stuck.embed(["the first batch"], is_gone=stuck.model.started.is_set)
    with pytest.raises(ClientGone):
        stuck.embed(["never computed"], is_gone=iter([False, True]).__next__)  # once it waits
    stuck.model.released.set()
    stuck.embed(["another text"])

    assert ["never computed"] not in stuck.model.batches
    assert ["another text"] in stuck.model.batches


def test_long_work_is_tokenised_in_parts(engine, model, monkeypatch):
    monkeypatch.setattr("service.engine.engine.SLICE_CHARACTERS", 10)
    parts, tokenize = [], model.tokenize
    model.tokenize = lambda texts, *_: parts.append(list(texts)) or tokenize(texts)

    assert engine.embed(["four", "five", "nine", "zero", "a long text", "b"]).tokens == 28
    assert parts == [["four", "five"], ["nine", "zero"], ["a long text"], ["b"]]


def test_what_nobody_waits_for_is_not_tokenised(engine, model):
    model.tokenize = pytest.fail
    with pytest.raises(ClientGone):
        engine.embed(["a"], is_gone=lambda: True)


def test_a_deadline_of_the_request_counts_if_it_is_sooner(stuck):
    with pytest.raises(DeadlinePassed):
        stuck.embed(["a"], deadline=time.monotonic() - 1)


def test_a_calibrated_engine_knows_the_rate(engine):
    engine.calibrate()

    assert 0 < engine._lane.tokens_per_second() < float("inf")


def test_no_texts_give_no_vectors(engine):
    assert engine.embed([]).vectors.shape == (0, 4)
    assert engine.embed(["a"]).tokens == 1


def test_vectors_can_have_their_own_length_or_length_1(engine, model):
    model.normalizes = True
    whole = vector_of("abc")

    assert engine.embed(["abc"], Options(normalize=False)).vectors[0].tolist() == whole
    assert np.allclose(engine.embed(["abc"]).vectors[0], np.array(whole) / np.linalg.norm(whole))


def test_a_text_that_was_cut_is_named_by_its_index(engine, model):
    model.max_length = 3

    embeddings = engine.embed(["abc", "abcd", "a"])

    assert (embeddings.cut, embeddings.token_counts) == ([1], [3, 3, 1])


def test_a_request_may_forbid_to_cut(engine, model):
    model.max_length = 3
    with pytest.raises(TooLong, match=r"input\[1\] is longer than this model's maximum context length of 3"):
        engine.embed(["abc", "abcd"], Options(refuse_long=True))


def test_an_id_that_is_no_token_is_named_by_its_index(engine):
    long = "x" * SLICE_CHARACTERS
    with pytest.raises(InvalidInput, match=r"input\[2\]: -1 is not a token id"):
        engine.embed([long, long, [-1]])
