"""What is computed once is found again, whole or not at all."""

import threading

import numpy as np
import pytest

from service.engine.cache import LocalCache
from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.model import Reading
from service.engine.options import Options
from service.engine.results import HEADER, Result, Results
from service.errors import InvalidInput, TooLong
from tests.fakes import FakeModel, vector_of


class Short(FakeModel):
    max_length = 9


@pytest.fixture
def model():
    return Short()


@pytest.fixture
def cache():
    return LocalCache(10_000)


@pytest.fixture
def engine(model, cache):
    engines = Engines([model], Host(pytest.fail), cache=cache)
    yield engines.find()
    engines.close()


@pytest.fixture
def results(model, cache):
    return Results(cache, model)


RESULT = Result(np.arange(4, dtype=np.float32), 7, is_cut=True)


def test_a_text_that_was_computed_is_not_computed_again(engine, model):
    first, second = engine.embed(["one", "two"]), engine.embed(["two", "three", "one", "two"])

    assert (first.hits, second.hits) == (0, 3)
    assert [sorted(batch) for batch in model.batches] == [["one", "two"], ["three"]]
    assert second.vectors.tolist() == [vector_of(text) for text in ("two", "three", "one", "two")]
    assert second.token_counts == [3, 5, 3, 3]


def test_a_hit_costs_no_tokeniser(engine, model):
    engine.embed(["one"])
    model.tokenize = pytest.fail

    assert engine.embed(["one"]).tokens == 3


def test_a_repetition_in_one_request_is_computed_once(engine, model):
    found = engine.embed(["same", [65, 66], "same", [65, 66]])

    assert sorted(model.batches[0]) == ["AB", "same"]
    assert found.vectors.tolist() == [vector_of(text) for text in ("same", "AB", "same", "AB")]


def test_the_whole_vector_is_kept_whatever_was_asked_for(engine):
    engine.embed(["one"], Options(dimensions=2, normalize=True))
    found = engine.embed(["one"], Options(normalize=False))

    assert found.hits == 1
    assert found.vectors.tolist() == [vector_of("one")]


def test_answers_do_not_share_their_vectors(engine):
    engine.embed(["one"]).vectors[:] = 0
    engine.embed(["one"]).vectors[:] = 0

    assert engine.embed(["one"]).vectors.tolist() == [vector_of("one")]


def test_a_prompt_and_a_side_make_another_text(engine):
    readings = [Reading(), Reading("query: "), Reading("query: ", "left"), Reading("", "left")]

    assert [engine.embed(["a longer text"], Options(each)).hits for each in readings] == [0] * 4
    assert [engine.embed(["a longer text"], Options(each)).hits for each in readings] == [1] * 4


def test_token_ids_are_no_text(engine):
    engine.embed(["65 66"])

    assert engine.embed([[65, 66]]).hits == 0


def test_a_cut_text_is_told_of_and_refused_from_the_cache_too(engine):
    texts = ["short", "a longer text"]

    assert [engine.embed(texts).cut for _ in range(2)] == [[1], [1]]
    with pytest.raises(TooLong, match=r"input\[1\]"):
        engine.embed(texts, Options(refuse_long=True))


def test_an_error_names_the_place_in_the_whole_list(engine):
    engine.embed(["one"])
    with pytest.raises(InvalidInput) as caught:
        engine.embed(["one", "two", "one", "two", [-5]])

    assert caught.value.index == 4


def test_models_do_not_share_results(cache, model):
    other = Short()
    other.fingerprint = "fb" * 32

    assert Results(cache, model).keys(["a"], Reading()) != Results(cache, other).keys(["a"], Reading())


def test_a_result_comes_back_as_it_was(results):
    [key] = results.keys(["\ud800"], Reading("\ud800"))
    results.put(key, RESULT)
    found = results.get(key)

    assert found.vector.tolist() == RESULT.vector.tolist()
    assert found[1:] == RESULT[1:]


@pytest.mark.parametrize("position", range(HEADER.size + 16))
def test_a_torn_entry_is_not_served(results, cache, position):
    [key] = results.keys(["a"], Reading())
    results.put(key, RESULT)
    whole = cache.get(key)
    for torn in (whole[:position], whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]):
        cache.put(key, torn)

        assert results.get(key) is None


def test_the_entry_of_another_text_is_not_served(results, cache):
    key, other = results.keys(["a", "b"], Reading())
    results.put(key, RESULT)
    cache.put(other, cache.get(key))

    assert results.get(other) is None


def test_the_local_cache_forgets_what_was_not_used_for_longest():
    cache = LocalCache(10)
    for key in (b"1", b"2"):
        cache.put(key, b"12345")
    cache.get(b"1")
    cache.put(b"3", b"345")
    cache.put(b"4", b"too large for it")

    assert [cache.get(key) for key in (b"1", b"2", b"3", b"4")] == [b"12345", None, b"345", None]


def test_the_local_cache_stays_within_its_bytes_from_any_thread():
    cache = LocalCache(1000)

    def work(seed):
        for number in np.random.default_rng(seed).integers(0, 50, 2000).tolist():
            cache.put(b"%d" % number, bytes(number))
            assert cache.get(b"%d" % number) in {None, bytes(number)}

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert cache._bytes == sum(map(len, cache._values.values())) <= 1000
