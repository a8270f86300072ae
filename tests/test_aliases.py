import pytest

from service import aliases
from service.aliases import Alias
from service.errors import BadSetting

#: Two models, as EMBED_MODEL calls them and as they are called.
MODELS = {"moka-ai/m3e-base": "moka-ai/m3e-base", "/srv/minilm": "minilm"}


def test_an_alias_names_a_model_and_perhaps_a_vocabulary():
    read = aliases.read("ada = moka-ai/m3e-base, b=minilm:own,c=/srv/minilm:cl100k,")

    assert read == {
        "ada": Alias("moka-ai/m3e-base"),
        "b": Alias("minilm", "own"),
        "c": Alias("/srv/minilm", "cl100k"),
    }
    assert aliases.resolve(read, MODELS) == {"ada": "moka-ai/m3e-base", "b": "minilm", "c": "minilm"}


def test_no_aliases_are_none():
    assert aliases.read("") == {}


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("ada", "'ada': give NAME=MODEL"),
        ("=minilm", "give NAME=MODEL"),
        ("ada=", "give NAME=MODEL"),
        ("ada=:own", "give NAME=MODEL"),
        ("ada=minilm,ada=moka-ai/m3e-base", "ada is another alias already"),
        ("ada=gpt", "ada=gpt: there is no such model; EMBED_MODEL has moka-ai/m3e-base, minilm"),
        ("ada=minilm:gpt2", "ada=minilm:gpt2: there is no such model"),
        ("minilm=moka-ai/m3e-base", "minilm is the name of a model"),
    ],
)
def test_a_bad_alias_is_refused_with_a_sentence(setting, complaint):
    with pytest.raises(BadSetting, match=f"EMBED_MODEL_ALIASES: .*{complaint}"):
        aliases.resolve(aliases.read(setting), MODELS)


def test_the_reranker_has_a_name_of_its_own():
    for name in ("minilm", "ada"):
        with pytest.raises(BadSetting, match=f"EMBED_RERANK_MODEL: {name} is the name of another model or an alias"):
            aliases.resolve({"ada": Alias("minilm")}, MODELS, name)


def test_models_of_one_name_are_refused():
    with pytest.raises(BadSetting, match="two models are called minilm; rename the directory of one"):
        aliases.resolve({}, {"/srv/a/minilm": "minilm", "/srv/b/minilm": "minilm"})
