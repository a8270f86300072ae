"""Tiny models with random weights, one for each family of architectures that has to be served, or refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.models.variants import CHINESE, WORDS

CORPUS = [" ".join(WORDS), CHINESE, "Der Fluß führt nach dem Regen viel Wasser", "The quick brown fox, 0123456789!"]

#: What the weights' shapes have in common; names that an architecture does not know are left out.
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


NOTHING = MappingProxyType({})


class Style(NamedTuple):
    """How a tokenizer works, and the special tokens that it puts around a text."""

    kind: str
    template: str
    special: dict[str, str]


BERT = Style(
    "WordPiece",
    "[CLS] $A [SEP]",
    {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
)
ROBERTA = Style("BPE", "<s> $A </s>", {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"})
LLAMA = Style("BPE", "<s> $A", {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"})
T5 = Style("BPE", "$A </s>", {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"})
GPT = Style("BPE", "", {"pad": "<|endoftext|>"})


def tokenizer(style: Style, **settings: Any):
    """Train a tokenizer of this style on a few words."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = style.kind == "WordPiece"
    special = list(style.special.values())
    rust = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]") if pieces else models.BPE())
    rust.normalizer = normalizers.BertNormalizer() if pieces else None
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer() if pieces else pre_tokenizers.ByteLevel()
    rust.decoder = decoders.WordPiece() if pieces else decoders.ByteLevel()
    trainer = trainers.WordPieceTrainer if pieces else trainers.BpeTrainer
    alphabet = [] if pieces else pre_tokenizers.ByteLevel.alphabet()
    options = {"special_tokens": special, "initial_alphabet": alphabet, "show_progress": False}
    rust.train_from_iterator(CORPUS, trainer(vocab_size=400, **options))
    if style.template:
        ids = [(token, rust.token_to_id(token)) for token in style.template.split() if token != "$A"]
        rust.post_processor = processors.TemplateProcessing(single=style.template, special_tokens=ids)
    names = {f"{name}_token": token for name, token in style.special.items()}
    return PreTrainedTokenizerFast(tokenizer_object=rust, **names, **settings)


class Family(NamedTuple):
    """One architecture with its tokenizer, pooling and settings; ``edit`` changes members of the saved JSON files."""

    config: str
    style: Style = BERT
    shape: Mapping[str, Any] = NOTHING
    pooling: str | tuple[str, ...] = "mean"
    include_prompt: bool = True
    normalize: bool = False
    tokenizer: Mapping[str, Any] = NOTHING
    options: Mapping[str, Any] = NOTHING
    edit: Mapping[str, Any] = NOTHING
    extra: tuple[str, ...] = ()
    #: The length that the positions allow, where sentence-transformers does not know it and fails on longer texts.
    limit: int | None = None


SERVED = {
    "BERT": Family("BertConfig"),
    "BERT, cut at the left": Family("BertConfig", tokenizer={"truncation_side": "left"}),
    "BERT, cut by its processor": Family(
        "BertConfig", edit={"sentence_bert_config.json": {"processing_kwargs": {"text": {"max_length": 16}}}}
    ),
    "BERT, special tokens split": Family("BertConfig", tokenizer={"split_special_tokens": True}),
    "BERT, padded at the left": Family("BertConfig", tokenizer={"padding_side": "left"}),
    "BERT, truncate_dim": Family("BertConfig", options={"truncate_dim": 8}),
    "BERT, normalised": Family("BertConfig", normalize=True, options={"prompts": {"q": "time: ", "d": ""}}),
    "BERT, two poolings": Family("BertConfig", pooling=("cls", "mean")),
    "BERT, prompt left out, none given": Family("BertConfig", include_prompt=False),
    "BERT, prompt left out": Family(
        "BertConfig", include_prompt=False, options={"prompts": {"q": "time: "}, "default_prompt_name": "q"}
    ),
    "BERT, length too large": Family(
        "BertConfig", edit={"sentence_bert_config.json": {"max_seq_length": 100}}, limit=64
    ),
    "BERT and CNN": Family("BertConfig", extra=("CNN",)),
    "XLM-R, no length": Family("XLMRobertaConfig", ROBERTA, {"max_position_embeddings": 66}, limit=64),
    "ModernBERT": Family("ModernBertConfig", BERT, {"local_attention": 8, "global_attn_every_n_layers": 2}),
    "Llama": Family("LlamaConfig", LLAMA, pooling="lasttoken"),
    "Gemma": Family("GemmaConfig", LLAMA, {"head_dim": 8}),
    "EmbeddingGemma": Family(
        "Gemma3TextConfig", LLAMA, {"head_dim": 8, "sliding_window": 8, "use_bidirectional_attention": True}
    ),
    "Mistral, sliding window": Family("MistralConfig", LLAMA, {"sliding_window": 8}, "lasttoken"),
    "Qwen2, no special tokens": Family("Qwen2Config", GPT, pooling="lasttoken"),
    "GPT-2": Family("GPT2Config", GPT),
    "T5, no length": Family("T5Config", T5, {"d_kv": 8, "d_ff": 48}),
    "ConvBERT": Family("ConvBertConfig", BERT, {"embedding_size": 32}),
    "MobileBERT": Family("MobileBertConfig", BERT, {"embedding_size": 16, "intra_bottleneck_size": 16}),
    "FNet": Family("FNetConfig"),
    "static": Family("static"),
    "static, float16": Family("static", options={"dtype": "float16"}),
    "model2vec": Family("static", options={"key": "embeddings"}),
}


def _config(family: Family, words: int, pad: int):
    import transformers

    cls = getattr(transformers, family.config)
    names = [name for name in SHAPE if hasattr(cls(), name)]
    return cls(vocab_size=words, pad_token_id=pad, **{name: SHAPE[name] for name in names} | family.shape)


def build(directory: Path, family: Family) -> Path:
    """Save a model of this family; its weights are the same each time, the order of its vocabulary is not."""
    import torch

    torch.manual_seed(1)
    (_build_static if family.config == "static" else _build_transformer)(directory, family)
    for name, members in family.edit.items():
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | members))
    return directory


def _build_transformer(directory: Path, family: Family):
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer import modules

    words = tokenizer(family.style, **family.tokenizer)
    model = transformers.AutoModel.from_config(_config(family, len(words), words.pad_token_id))
    for weights in model.parameters():  # with the usual deviation of 0.02 so narrow a model heeds attention little
        torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    transformer = Transformer(str(directory))
    width = transformer.get_embedding_dimension()
    extra = [modules.CNN(width, width) for _ in family.extra]
    pooling = modules.Pooling(width, family.pooling, include_prompt=family.include_prompt)
    parts = [transformer, *extra, pooling, *([Normalize()] if family.normalize else [])]
    SentenceTransformer(modules=parts, device="cpu", **family.options).save(str(directory))


def build_reranker(directory: Path, labels: int = 1, **config: Any) -> Path:
    """Save a BERT that scores pairs, which it is told apart by the types of tokens."""
    import torch
    import transformers
    from tokenizers import processors

    torch.manual_seed(1)
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    words = tokenizer(BERT, model_input_names=inputs, model_max_length=64)
    ids = [(token, words.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=BERT.template, pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    shape = _config(Family("BertConfig"), len(words), words.pad_token_id).to_dict() | {"num_labels": labels} | config
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**shape))
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    model.classifier.weight.data *= 10  # scores that differ
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    return directory


def _build_static(directory: Path, family: Family):
    import torch
    from safetensors.torch import load_file, save_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = StaticEmbedding(tokenizer(family.style).backend_tokenizer, embedding_dim=16)
    SentenceTransformer(modules=[words], device="cpu").save(str(directory))
    weights = load_file(directory / "model.safetensors")["embedding.weight"]
    key, dtype = family.options.get("key", "embedding.weight"), family.options.get("dtype", "float32")
    save_file({key: weights.to(getattr(torch, dtype))}, directory / "model.safetensors")


def drop(directory: Path, *names: str):
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    kept = {key: weight for key, weight in weights.items() if not any(name in key for name in names)}
    save_file(kept, directory / "model.safetensors", {"format": "pt"})


def edit(directory: Path, name: str, **members: Any):
    path = directory / name
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def _drop_tokenizer(directory: Path):
    for path in directory.glob("tokenizer*"):
        path.unlink()


def _begin_with_words(directory: Path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    SentenceTransformer(modules=[BoW(WORDS)], device="cpu").save(str(directory))


def _begin_with_routes(directory: Path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    parts = list(SentenceTransformer(str(directory), device="cpu").children())
    router = Router.for_query_document(query_modules=parts, document_modules=parts)
    SentenceTransformer(modules=[router], device="cpu").save(str(directory))


def leave_the_bare_model(directory: Path, architecture: str):
    (directory / "modules.json").unlink()
    edit(directory, "config.json", architectures=[architecture])


TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}

#: What is done to a saved BERT, and the sentence that refuses it.
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "reranker": (
        lambda path: edit(path, "config_sentence_transformers.json", model_type="CrossEncoder"),
        "is a CrossEncoder, which gives scores for pairs of texts; serve a SentenceTransformer model",
    ),
    "reranker, bare": (
        lambda path: leave_the_bare_model(path, "BertForSequenceClassification"),
        "is a CrossEncoder, which gives scores for pairs of texts; serve a SentenceTransformer model",
    ),
    "SPLADE": (
        lambda path: edit(path, "config_sentence_transformers.json", model_type="SparseEncoder"),
        "is a SparseEncoder, which gives sparse vectors; serve",
    ),
    "ColBERT": (
        lambda path: edit(path, "config_sentence_transformers.json", model_type="MultiVectorEncoder"),
        "is a MultiVectorEncoder, which gives a vector for each token; serve",
    ),
    "ColBERT, bare": (
        lambda path: leave_the_bare_model(path, "HF_ColBERT"),
        "is a MultiVectorEncoder, which gives a vector for each token; serve",
    ),
    "a layer is missing": (
        lambda path: drop(path, "encoder.layer.1."),
        r"lacks weights: encoder\.layer\.1\.\S+, encoder\.layer\.1\.\S+, \S+ and 13 more; serve a complete model",
    ),
    "code of its own": (
        lambda path: (
            edit(path, "config.json", auto_map={"AutoModel": "modeling.Own"}),
            drop(path, "encoder.layer.1."),
        ),
        r"lacks weights: .*; config\.json names code of its own \(auto_map\), which is not run",
    ),
    "no tokenizer": (_drop_tokenizer, r"(has no tokenizer: add its|cannot be loaded: .*[Tt]okenizer)"),
    "chat template": (
        lambda path: (
            (path / "chat_template.jinja").write_text("{{ messages }}"),
            edit(
                path, "sentence_bert_config.json", modality_config={"text": TEXT, "message": TEXT | {"format": "flat"}}
            ),
        ),
        "puts each text into a chat template, which is not supported; serve a model without one",
    ),
    "bag of words": (_begin_with_words, "begins with BoW; serve a model that begins with Transformer"),
    "routes": (_begin_with_routes, "begins with Router; serve a model that begins with Transformer"),
    "other shapes": (
        lambda path: edit(path, "config.json", intermediate_size=96),
        r"cannot be loaded: ValueError: config\.json gives other shapes than the weights have: encoder",
    ),
}
