"""A part that is made again has the same bits, whichever parts are made beside it."""

import pytest

from service.models import catalog
from service.settings import Settings
from tests.bulk import corpus


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def make_again(out, path, *which, **options):
    """Remove some parts and make them again; return all rows before and after."""
    corpus.embed(path, out, **options)
    before = corpus.rows(out)
    parts = sorted(out.glob("part-*"))
    for index in which:
        parts[index].unlink()
    corpus.embed(path, out, **options)
    return before, corpus.rows(out)


def test_no_batch_has_texts_of_two_windows(tmp_path, out):
    path = corpus.write(tmp_path / "a.jsonl", corpus.texts(220))

    before, after = make_again(out, path, 0, 2, 4, loader=corpus.load_sociable)

    assert before == after


@pytest.mark.model
def test_a_part_that_is_made_again_has_the_same_bits(tmp_path, out, cache):
    path = corpus.write(tmp_path / "a.jsonl", [text.replace("x", " x") for text in corpus.texts(220)])
    settings = Settings(device="cpu", cache_dir=str(cache))

    before, after = make_again(out, path, 0, 2, 4, loader=catalog.load, settings=settings)

    assert before == after
