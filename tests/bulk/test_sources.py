"""What is read: formats, patterns, and rows that cannot be read."""

import gzip

import pytest

from service.bulk import requests, sources
from service.bulk.rows import open_stream
from service.bulk.shards import WINDOW_ROWS, Window, divide, windows
from service.bulk.sources import Chunk, Source
from service.errors import BulkFailed

KEEP = {"id": "doc", "url": "url"}


def read(*paths, form=None):
    return list(Source([str(path) for path in paths], "text", KEEP, form).chunks())


def test_jsonl_is_read_with_its_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ä", "doc": 1, "url": null}\n\n{"text": "b", "more": 5}\n')

    [chunk] = read(path)

    assert (chunk.texts, chunk.errors) == (["ä", "b"], {})
    assert chunk.columns == {"id": [1, None], "url": [None, None]}


def test_gzip_is_known_by_the_name(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n'))

    assert read(path)[0].texts == ["a"]


def test_a_gzip_file_that_was_cut_off_says_after_which_row(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n')[:-9])

    with pytest.raises(BulkFailed, match=r"a.jsonl.gz cannot be read after row \d: Compressed file ended"):
        read(path)


def test_csv_is_read_with_line_breaks_in_a_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfdoc,url,text\n1,u,"two\nlines"\n2,v,\xff\n')

    [chunk] = read(path)

    assert chunk.texts == ["two\nlines", None]
    assert chunk.errors == {1: f"{path}, row 2: `text` is not UTF-8"}
    assert chunk.columns == {"id": ["1", "2"], "url": ["u", "v"]}


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("doc,url,body\n")

    with pytest.raises(BulkFailed, match=r"a.csv has no column 'text'; it has doc, url, body"):
        read(path)


def test_rows_that_cannot_be_read_have_a_reason_with_their_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\nnothing\n[1]\n{"text": 5}\n{"text": "\\ud800"}\n')

    [chunk] = read(path)

    assert chunk.texts == ["a", None, None, None, None]
    assert [chunk.errors[index].partition(": ")[0] for index in range(1, 5)] == [
        f"{path}, row {n}" for n in range(2, 6)
    ]


def test_patterns_are_resolved_in_the_order_of_names(tmp_path):
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(f'{{"text": "{name}"}}\n')

    assert [chunk.texts for chunk in read(tmp_path / "*.jsonl")] == [["a.jsonl"], ["b.jsonl"]]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["none.jsonl"], "none.jsonl: there is no such file"),
        (["a.txt"], "the name does not tell the format; say --format jsonl, csv or parquet"),
        (["a.csv", "*.csv"], "a.csv is given twice"),
    ],
)
def test_inputs_that_cannot_be_used_are_refused(tmp_path, names, complaint):
    for name in ("a.txt", "a.csv"):
        (tmp_path / name).touch()

    with pytest.raises(BulkFailed, match=complaint):
        read(*(tmp_path / name for name in names))


def test_shards_have_their_rows_wherever_chunks_end():
    chunks = [Chunk([str(n)] * size, {size - 1: "bad"}, {"id": [n] * size}, n) for n, size in enumerate((3, 5, 4))]

    shards = list(divide(chunks, 4))

    assert [(shard.index, shard.first, len(shard.texts)) for shard in shards] == [(0, 0, 4), (1, 4, 4), (2, 8, 4)]
    assert [shard.errors for shard in shards] == [{2: "bad"}, {3: "bad"}, {3: "bad"}]


def test_long_texts_end_shards_and_windows_early():
    long = "x" * (3 * 2**20)
    chunks = [Chunk([long] * 4, {}, {}, 0) for _ in range(5)]

    assert [len(shard.texts) for shard in divide(chunks, 1000)] == [8, 8, 4]
    assert list(windows([long] * 5)) == [Window(0, 2), Window(2, 4), Window(4, 5)]
    assert list(windows(["x"] * (WINDOW_ROWS + 1))) == [Window(0, WINDOW_ROWS), Window(WINDOW_ROWS, WINDOW_ROWS + 1)]


def test_a_line_that_is_too_long_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("service.bulk.rows.MAX_LINE_BYTES", 20)
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "{"x" * 50}"}}\n{{"text": "b"}}\n')

    [chunk] = read(path)

    assert chunk.texts == [None, "b"]
    assert chunk.errors == {0: f"{path}, row 1: the line has more than 20 bytes"}


@pytest.mark.parametrize(
    ("line", "message", "member"),
    [
        ("[]", "not a JSON object", None),
        ('{"body": {"input": "a"}}', "the line: object missing required field `custom_id`", None),
        ('{"custom_id": "a", "body": 5}', "the body: expected `object`, got `int`", None),
        ('{"custom_id": "a", "body": {}}', "the body: object missing required field `input`", None),
        (
            '{"custom_id": "a", "body": {"input": [{"text": null}]}}',
            "input[0].text: expected `str`, got `null`",
            "input",
        ),
    ],
)
def test_a_request_that_cannot_be_read_says_why(tmp_path, line, message, member):
    """With the line for an operator, without it for a client."""
    path = tmp_path / "a.jsonl"
    path.write_text(line)
    stream = open_stream(str(path))
    with stream.raw:
        (row,) = requests.read(stream)

    assert row.values[0]["refused"] == [message, member]
    assert row.error == f"{path}, row 1: {message}"


def test_a_large_input_is_never_in_memory_as_a_whole():
    """Shards are made one at a time of what is read until then."""
    seen = []

    def endless():
        for number in range(10**9):
            seen.append(number)
            yield Chunk(["text"] * sources.CHUNK_ROWS, {}, {"id": [number] * sources.CHUNK_ROWS}, number)

    shards = divide(endless(), 1000)
    next(shards), next(shards)

    assert len(seen) <= 2000 // sources.CHUNK_ROWS + 1
