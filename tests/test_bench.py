"""The benchmark's own parts, and that what is published is what was measured."""

import json
from pathlib import Path

import pytest

from bench import comparison, load, report, texts
from bench.load import Measurement

ROOT = Path(__file__).parent.parent


def test_every_run_sends_the_same_texts():
    assert texts.workloads() == texts.workloads()
    assert texts.bulk() == texts.bulk()


def test_no_short_text_is_sent_twice():
    """Equal texts in a batch would be computed once."""
    queries = [text for [text] in texts.workloads()[0].texts]

    assert len(set(queries)) > 0.99 * len(queries)


def test_only_base64_is_asked_for_by_name():
    assert json.loads(load.body(["a"], "m", "float")) == {"input": ["a"], "model": "m"}
    assert json.loads(load.body(["a"], "m", "base64"))["encoding_format"] == "base64"


def test_a_median_is_taken_figure_by_figure_and_errors_add_up():
    runs = [Measurement(1, 10, 5, 6, 7, 1), Measurement(3, 30, 4, 6, 7, 0), Measurement(2, 20, 9, 6, 7, 2)]

    assert report.median(runs) == Measurement(2, 20, 5, 6, 7, 3)


@pytest.mark.parametrize("model", ["minilm", "bert-base"])
def test_the_published_tables_are_those_of_the_saved_results(model):
    saved = json.loads((ROOT / f"bench/results/compare-{model}.json").read_text())

    assert comparison.tables(saved["results"]) in (ROOT / "docs/performance.md").read_text()


def test_every_plot_that_is_shown_is_there():
    published = (ROOT / "docs/performance.md").read_text()

    for path in (ROOT / "docs/plots").glob("*.png"):
        assert f"](plots/{path.name})" in published
