"""What is read of a text, cut and told, with the real tokenizer of all-MiniLM-L6-v2."""

import random

import pytest

from service.engine.model import Token
from service.errors import InvalidInput
from service.models import clipper, sources
from service.models.tokenizer import Tokenizer, share
from tests.models import families
from tests.models.variants import collection

WORDS = ["the", "über", "naïve", "中文", "embeddings", ",", "12345", "x" * 150]

TEXTS = {
    "words": " ".join(random.Random(1).choices(WORDS, k=30_000)),
    "blanks": " " * 200_000 + " ".join(random.Random(2).choices(WORDS, k=3000)) + " " * 200_000,
    "one word": "a" * 200_000,
    "no spaces": "中文" * 100_000,
    "short after all": "a few words" + " " * 200_000,
}


SERIALIZED = (sources.find("all-MiniLM-L6-v2").directory / "tokenizer.json").read_text()


@pytest.fixture
def tokenizer():
    tokenizer = Tokenizer(SERIALIZED)
    tokenizer.limit(256)
    return tokenizer


@pytest.fixture
def whole():
    """The token ids of a whole text, by the Rust tokenizer alone."""
    import tokenizers

    rust = tokenizers.Tokenizer.from_str(SERIALIZED)
    rust.no_padding()
    rust.no_truncation()
    return lambda text: rust.encode(text).ids


both_sides = pytest.mark.parametrize("side", ["left", "right"])


@both_sides
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_long_text_keeps_the_tokens_of_the_whole(tokenizer, text, side, monkeypatch):
    [cut] = tokenizer.encode([text], side=side).ids
    monkeypatch.setattr(clipper, "LONG_CHARACTERS", len(text))
    [whole] = tokenizer.encode([text], side=side).ids

    assert cut.tolist() == whole.tolist()


def test_of_a_long_text_little_is_tokenised(tokenizer):
    assert len(tokenizer._clipper.clip("a word " * 1_000_000, "right", 256)) < 100_000


@both_sides
@pytest.mark.parametrize("prompt", ["", "query: ", "a long prompt " * 80])
def test_what_was_cut_is_told(tokenizer, whole, side, prompt):
    texts = ["", *collection(40), *("word " * count for count in range(250, 258)), *TEXTS.values()]
    expected = [index for index, text in enumerate(texts) if len(whole(prompt + text)) > 256]

    assert tokenizer.encode(texts, prompt, side).cut == expected
    assert [index for index in range(49) if tokenizer.encode([texts[index]], prompt, side).cut] == [
        index for index in expected if index < 49
    ]


@both_sides
def test_a_text_is_cut_on_the_side_that_is_asked_for(tokenizer, whole, side):
    text = " ".join(map(str, range(300)))
    first, *inner, last = whole(text)

    [ids] = tokenizer.encode([text], side=side).ids

    assert ids.tolist() == [first, *(inner[-254:] if side == "left" else inner[:254]), last]


def test_without_a_side_the_models_own_is_cut(tokenizer):
    text = " ".join(map(str, range(300)))

    assert tokenizer.encode([text]).ids[0].tolist() == tokenizer.encode([text], side="right").ids[0].tolist()


# --- token ids --------------------------------------------------------------------------------------------------------


@both_sides
def test_ids_of_a_text_are_read_as_the_text_is(tokenizer, whole, side):
    texts = ["", *collection(60)]

    as_texts = tokenizer.encode(texts, side=side)
    as_ids = tokenizer.encode([whole(text) for text in texts], side=side)

    assert [ids.tolist() for ids in as_ids.ids] == [ids.tolist() for ids in as_texts.ids]
    assert as_ids.cut == as_texts.cut


def test_texts_and_ids_may_be_mixed(tokenizer, whole):
    mixed = tokenizer.encode(["a", whole("query: b"), "c"], "query: ")

    assert [ids.tolist() for ids in mixed.ids] == [whole("query: a"), whole("query: b"), whole("query: c")]


@both_sides
def test_ids_without_special_tokens_get_none(tokenizer, side):
    [ids] = tokenizer.encode([[*range(2000, 2300)]], side=side).ids

    assert ids.tolist() == [*(range(2044, 2300) if side == "left" else range(2000, 2256))]


@pytest.mark.parametrize("ids", [[-1], [7, 30522], [2**70], [-(2**70), 7]])
def test_ids_outside_of_the_vocabulary_are_refused(tokenizer, ids):
    with pytest.raises(
        InvalidInput, match=r"token id -?\d+ is not in the model's vocabulary; send 0 to 30521"
    ) as refusal:
        tokenizer.encode(["a", [101, 102], ids])

    assert refusal.value.index == 2


def test_no_ids_are_refused(tokenizer):
    with pytest.raises(InvalidInput, match="an empty list of token ids") as refusal:
        tokenizer.encode([[]])

    assert refusal.value.index == 0


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_pieces_are_slices_of_the_text(tokenizer):
    text = "Żółw naïve e\u0301té 今天天气 😀👩‍👩‍👧 Unbelievability [SEP]"

    pieces = tokenizer.pieces(text)

    assert [piece.text for piece in pieces if not piece.special] == [
        text[piece.start : piece.stop] for piece in pieces if not piece.special
    ]
    assert {"今", "天", "气", "naïve", "Un"} <= {piece.text for piece in pieces}


def test_special_tokens_are_flagged_and_have_no_place(tokenizer):
    word = Token(7592, "Hello", special=False, start=0, stop=5)

    assert tokenizer.pieces("Hello") == [
        Token(101, "[CLS]", special=True, start=None, stop=None),
        word,
        Token(102, "[SEP]", special=True, start=None, stop=None),
    ]
    assert tokenizer.pieces("Hello", special_tokens=False) == [word]


def test_a_prompt_has_no_place_in_the_text(tokenizer):
    pieces = tokenizer.pieces("day you", special_tokens=False, prompt="so to")

    assert [(piece.text, piece.start, piece.stop) for piece in pieces] == [
        ("so", None, None),
        ("today", 0, 3),
        ("you", 4, 7),
    ]


def test_pieces_are_not_cut(tokenizer):
    assert len(tokenizer.pieces("word " * 1000)) == 1002


@pytest.mark.parametrize(("skip", "text"), [(True, "hello world"), (False, "[CLS] hello world [SEP]")])
def test_ids_become_a_text(tokenizer, whole, skip, text):
    assert tokenizer.decode(whole("Hello world"), skip_special_tokens=skip) == text


def test_an_id_without_a_token_is_not_decoded(tokenizer):
    with pytest.raises(InvalidInput, match="token id 30522 is not"):
        tokenizer.decode([30522])


def test_no_ids_become_no_text(tokenizer):
    assert tokenizer.decode([]) == ""


# --- sharing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [families.BERT, families.ROBERTA, families.LLAMA, families.T5, families.GPT])
def test_a_tokenizer_with_shared_parts_is_the_same(style):
    import tokenizers

    rust = families.tokenizer(style).backend_tokenizer
    rust.add_tokens(["<plain>", tokenizers.AddedToken("<special>", special=True, lstrip=True)])
    rust.encode_special_tokens = True
    other = share(rust)

    assert other.to_str() == rust.to_str()
    assert other.encode("time <plain> year <special>").ids == rust.encode("time <plain> year <special>").ids
