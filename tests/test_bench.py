"""The benchmark's own parts, and that what is published is what was measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import corpus, load, report, standings, texts
from bench.limits import columns, flops
from bench.load import Measurement
from bench.torture import jobs, verdict
from bench.torture.clients import CUT, LOST, WRONG, Answer

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


@pytest.mark.parametrize(
    ("document", "name", "tabulate"),
    [
        ("performance", "compare-minilm", standings.tables),
        ("performance", "compare-bert-base", standings.tables),
        ("performance", "limits-minilm", columns.table),
        ("corpora", "corpus-minilm", corpus.table),
        ("reliability", "torture-minilm", verdict.table),
    ],
)
def test_the_published_tables_are_those_of_the_saved_results(document, name, tabulate):
    saved = json.loads((ROOT / f"bench/results/{name}.json").read_text())["results"]

    assert report.read(ROOT / f"docs/{document}.md", name) == tabulate(saved)


def test_every_plot_that_is_shown_is_there():
    published = (ROOT / "docs/performance.md").read_text()

    for path in (ROOT / "docs/plots").glob("*.png"):
        assert f"](plots/{path.name})" in published


def test_a_table_replaces_what_was_between_its_marks(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- bench x: begin -->\nold\n<!-- bench x: end -->\nafter\n")
    report.write(document, "x", "new")

    assert report.read(document, "x") == "new"
    assert document.read_text().startswith("before\n")
    assert document.read_text().endswith("after\n")


def test_a_document_without_marks_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("text")

    with pytest.raises(ValueError, match="has no lines"):
        report.write(tmp_path / "page.md", "x", "new")


def test_a_target_that_is_missed_is_marked():
    assert "| 3.5 s | at most 2 s | **no** |" in verdict.table(
        {"abandon": {"work_left_s": 3.5}, "replaced_workers": 0, "load_average": 0.5}
    )


def test_the_totals_add_up_the_answers_of_all_scenes():
    answers = {"200": 5, "wrong": 1, "lost": 2, "500": 3, "504": 4}
    mixed = {"short_p99_s": 0, "answers": answers}
    table = verdict.table({"mixed": mixed, "replaced_workers": 0, "load_average": 0.5})

    assert "| of 15 requests: wrong vectors | 1 | 0 | **no** |" in table
    assert "| 5xx that are not documented | 3 | 0 | **no** |" in table
    assert "| hangs | 2 | 0 | **no** |" in table


def test_a_200_that_ends_before_its_end_is_cut():
    answer = Answer(200, 0, 0, 0, b'{"data": [{"embed')

    assert jobs.check(answer, np.ones((1, 2), np.float32)).status == CUT


@pytest.mark.parametrize("body", [b"{}", b'{"data": [{"embedding": "AAAA"}]}', b'{"data": []}'])
def test_a_200_without_the_expected_vectors_is_wrong(body):
    answer = Answer(200, 0, 0, 0, body)

    assert jobs.check(answer, np.ones((1, 2), np.float32)).status == WRONG


def test_another_status_is_left_as_it_is():
    answer = Answer(LOST, 0, 0, 0, b"")

    assert jobs.check(answer, np.ones((1, 2), np.float32)) == answer


def test_the_operations_of_a_forward_are_counted_from_the_config(tmp_path):
    config = {"hidden_size": 4, "intermediate_size": 16, "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))

    weights = 2 * (4 * 4 * 4 + 2 * 4 * 16)
    attention = 2 * 2 * 4 * 5  # queries and values, 4 wide, by 5 keys, in 2 layers
    assert flops.of_forward(tmp_path, texts=3, length=5) == 2 * 3 * 5 * (weights + attention)


def column(cpu, seconds):
    """What was measured on a CPU that multiplies at 100 GFLOP/s, where every forward has 1 GFLOP."""
    shapes = [columns.name_of(shape) for shape in columns.SHAPES]
    return {
        "machine": {"cpu": cpu, "cores": 2, "date": "2026-11-28"},
        "load_average": 0.1,
        "peak_gflops": {"float32, torch": 100.0},
        "peak_failures": {},
        "gflop": dict.fromkeys(shapes, 1.0),
        "seconds": {"this engine, float32": dict.fromkeys(shapes, seconds)},
        "cosines": {"this engine, float32": 1.0},
        "parts": {shape: {"matmul": 3.0, "attention": 1.0} for shape in shapes},
        "failures": {"torch, bfloat16": "this CPU has no bfloat16"},
    }


def test_a_second_cpu_gets_a_column_of_its_own():
    first = {"one": column("one", 0.02)}
    both = columns.merge(first, {"two": column("two", 0.05)})

    table = columns.table(both)
    assert table.startswith("|  | one | two |")
    assert "| engine, 1 x 13: ms, GFLOP/s, of the peak | 20.0, 50.0, 50 % | 50.0, 20.0, 20 % |" in table
    assert "| where the time of 1 x 13 goes | matmul 75 %, attention 25 % |" in table


def test_a_contender_that_fails_is_a_sentence():
    table = columns.table({"one": column("one", 0.02)})

    assert "| torch, bfloat16: ms of each shape, least cosine | this CPU has no bfloat16 |" in table
