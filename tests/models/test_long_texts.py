"""Of a long text only a part is tokenised, and the tokens that are kept are those of the whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.models import clipper, skimmer
from service.models.tokenizer import Tokenizer

CORPUS = ["the quick brown fox jumps over the lazy dog", "aaaa aaa aa a abab ababab", "0123 4567 89", "中文 über"]
UNK = "[UNK]"
SPECIAL = ["[CLS]", "[SEP]", UNK, "[MASK]"]
LENGTH = 8


def build(kind):
    """A tokenizer of this kind, trained on a few words, as JSON."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

    model, trainer, words = {
        "word-piece": (models.WordPiece(unk_token=UNK), trainers.WordPieceTrainer, pre_tokenizers.BertPreTokenizer()),
        "byte BPE": (models.BPE(), trainers.BpeTrainer, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "BPE": (models.BPE(unk_token=UNK), trainers.BpeTrainer, pre_tokenizers.Metaspace()),
        "unigram": (models.Unigram(), trainers.UnigramTrainer, pre_tokenizers.Metaspace()),
        "unigram, one word": (models.Unigram(), trainers.UnigramTrainer, pre_tokenizers.Metaspace(split=False)),
    }[kind]
    rust = tokenizers.Tokenizer(model)
    rust.normalizer = normalizers.BertNormalizer() if kind == "word-piece" else normalizers.NFKC()
    rust.pre_tokenizer = words
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "byte BPE" else []
    options = {"vocab_size": 120 + len(alphabet), "initial_alphabet": alphabet, "special_tokens": SPECIAL}
    options |= {"unk_token": UNK} if "unigram" in kind else {}
    rust.train_from_iterator(CORPUS * 20, trainer(show_progress=False, **options))
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, rust.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    )
    return rust.to_str()


KINDS = ["word-piece", "byte BPE", "BPE", "unigram", "unigram, one word"]

PIECES = [*"ab.中文é\n[_-3ﬁ😀\x01\u0301\u200d", "the", "fox", "aa", "ab", " ", "  ", "12", "e\u0301", "[MASK]", "MA"]
RUNS = st.builds(lambda piece, count: piece * count, st.sampled_from(PIECES), st.integers(1, 30))
LONG = st.lists(st.one_of(st.sampled_from(PIECES), RUNS), min_size=20, max_size=150).map("".join)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_the_tokens_of_the_whole(kind, side, monkeypatch):
    monkeypatch.setattr(clipper, "CHARACTERS_PER_TOKEN", 4)
    monkeypatch.setattr(skimmer, "PIECE_CHARACTERS", 7)
    monkeypatch.setattr(skimmer, "CHUNK_CHARACTERS", 70)
    tokenizer = Tokenizer(build(kind))
    tokenizer.limit(LENGTH)
    clipped = 0

    @given(LONG)
    @example("a" * 401)
    @example("ab" * 200)
    @example("a" * 900 + " the" + "fox" * 300)
    @example("the " * 100)
    def compare(text):
        nonlocal clipped
        monkeypatch.setattr(clipper, "LONG_CHARACTERS", 10**6)
        [whole] = tokenizer.encode([text], side=side).ids
        monkeypatch.setattr(clipper, "LONG_CHARACTERS", 60)
        [part] = tokenizer.encode([text], side=side).ids
        clipped += len(tokenizer._clipper.clip(text, side, LENGTH)) < len(text)

        assert part.tolist() == whole.tolist()

    compare()
    assert clipped
