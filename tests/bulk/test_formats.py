"""What is written: Parquet, JSONL, and the answers of a batch file."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from openai.types import CreateEmbeddingResponse

from service.__main__ import _parser
from service.bulk import command
from service.errors import BulkFailed
from tests.bulk import corpus
from tests.fakes import vector_of

MANUAL = Path(__file__).parents[2] / "docs/corpora.md"

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def bulk(tmp_path, monkeypatch):
    """Run the command with the fake model."""
    monkeypatch.setenv("EMBED_DEVICE", "cpu")

    def bulk(*arguments):
        options = _parser().parse_args(["bulk", "--out", str(tmp_path / "out"), *map(str, arguments)])
        return command.run(options, lambda settings: settings, corpus.load)

    return bulk


@pytest.fixture
def table(tmp_path):
    def table():
        return pa.concat_tables(pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet")))

    return table


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "a.parquet"
    stamps = pa.array([1, 2, None], pa.timestamp("ns", tz="UTC"))
    pq.write_table(pa.table({"body": ["one", None, "three"], "doc": [7, 8, 9], "at": stamps}), path)
    return path


def test_columns_of_parquet_keep_their_types(bulk, parquet, table):
    assert bulk(parquet, "--text", "body", "--id", "doc", "--keep", "at") == 3

    assert table().schema.field("at").type == pa.timestamp("ns", tz="UTC")
    assert table().schema.field("vector").type == pa.list_(pa.float32(), 4)
    assert table()["id"].to_pylist() == [7, 8, 9]
    assert table()["vector"].to_pylist() == [vector_of("one"), None, vector_of("three")]
    assert table()["error"].to_pylist() == [None, f"{parquet}, row 2: `body` is missing or null", None]


def test_the_footer_says_what_made_the_vectors(bulk, parquet, tmp_path):
    bulk(parquet, "--text", "body", "--dimensions", "2")

    [part] = (tmp_path / "out").glob("*.parquet")
    footer = json.loads(pq.read_metadata(part).metadata[b"uwsgi-embeddings"])
    assert footer["fingerprint"] == "fa" * 32
    assert (footer["dimensions"], footer["rows"], footer["failed"], footer["first_row"]) == (2, 3, 1, 0)
    assert bulk(parquet, "--text", "body", "--dimensions", "2") == 3


def test_values_of_jsonl_are_strings_in_parquet(bulk, tmp_path, table):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "k": 1}\n{"text": "b", "k": {"x": "ä"}}\n{"text": "c", "k": "s"}\n')

    assert bulk(path, "--keep", "k") == 0
    assert table()["k"].to_pylist() == ["1", '{"x": "ä"}', "s"]
    assert table()["id"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize(("kind", "dtype"), [("float16", pa.float16()), ("int8", pa.int8()), ("binary", pa.int8())])
def test_vectors_have_the_type_that_was_asked_for(bulk, parquet, table, kind, dtype):
    bulk(parquet, "--text", "body", "--type", kind)

    assert table().schema.field("vector").type == pa.list_(dtype, 1 if kind == "binary" else 4)


def test_a_batch_file_is_answered_as_openai_does(bulk, tmp_path):
    bodies = [
        {"input": "a", "model": "m"},
        {"input": ["b", "cc"], "dimensions": 2},
        {"input": "d" * 3, "dimensions": 9},
    ]
    bodies += [{"input": ["e"], "encoding_format": "base64"}, {"input": []}]
    path = tmp_path / "requests.jsonl"
    lines = [
        json.dumps({"custom_id": f"c{n}", "method": "POST", "url": "/v1/embeddings", "body": body})
        for n, body in enumerate(bodies)
    ]
    path.write_text("\n".join(lines))

    assert bulk(path, "--format", "openai-batch") == 3

    answers = corpus.rows(tmp_path / "out")
    assert [answer["custom_id"] for answer in answers] == ["c0", "c1", "c2", "c3", "c4"]
    first = CreateEmbeddingResponse.model_validate(answers[0]["response"]["body"])
    assert (first.data[0].embedding, first.model, first.usage.total_tokens) == (vector_of("a"), "m", 1)
    second = answers[1]["response"]["body"]["data"]
    assert [len(each["embedding"]) for each in second] == [2, 2]
    assert answers[2]["response"]["body"]["error"]["message"] == "dimensions must be between 1 and 4 for fake"
    coded = base64.b64decode(answers[3]["response"]["body"]["data"][0]["embedding"])
    assert np.frombuffer(coded, "<f4").tolist() == vector_of("e")
    assert (answers[4]["response"]["status_code"], answers[4]["error"]) == (400, None)
    assert answers[4]["response"]["body"]["error"]["message"].startswith("input: ")
    assert bulk(path, "--format", "openai-batch") == 3


def test_a_dry_run_counts_and_writes_nothing(bulk, parquet, tmp_path, capsys):
    assert bulk(parquet, "--text", "body", "--dry-run") == 3

    assert capsys.readouterr().out == "3 rows, 1 of them without a text, 8 characters, 1 parts\n"
    assert not (tmp_path / "out").exists()


def test_the_manuals_program_reads_the_vectors(bulk, parquet, tmp_path, monkeypatch):
    bulk(parquet, "--text", "body")
    (tmp_path / "out").rename(tmp_path / "vectors")
    monkeypatch.chdir(tmp_path)
    program, *_ = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    found = {}

    exec(program, found)

    assert found["vectors"].tolist() == [vector_of("one"), vector_of("three")]


def test_a_limit_reads_only_the_first_rows(bulk, parquet, table):
    assert bulk(parquet, "--text", "body", "--limit", "1") == 0
    assert table().num_rows == 1


def test_nothing_usable_is_another_status(bulk, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("nothing\n")

    assert bulk(path) == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--keep", "vector"], "--keep vector: the output has a column of this name already"),
        (["--devices", "tpu"], "--devices tpu: expected cpu, cpu:2"),
        (["--limit", "0"], "--limit 0: give a number from 1"),
        (["--prompt", "nope"], "--prompt nope: fake has no prompt of this name; it has query"),
        (["--dimensions", "5"], "--dimensions 5: fake has 1 to 4"),
    ],
)
def test_options_that_cannot_be_used_are_refused(bulk, parquet, options, complaint):
    with pytest.raises(BulkFailed, match=complaint):
        bulk(parquet, "--text", "body", *options)


@pytest.mark.parametrize(
    ("text", "devices"),
    [("auto", ["auto"]), ("cpu", ["cpu"]), ("cpu:2", ["cpu", "cpu"]), ("cuda:0,1", ["cuda:0", "cuda:1"])],
)
def test_each_device_gets_a_process(text, devices):
    assert command._devices(text) == devices
