from pathlib import Path

import pytest

from service.errors import BadSetting
from service.settings import ROOT, Settings


def test_without_variables_the_defaults_apply():
    assert Settings.from_env({"HOME": "/root"}) == Settings()


def test_a_variable_is_converted_to_its_type():
    assert Settings.from_env({"EMBED_MAX_INPUTS": "5", "EMBED_REQUEST_TIMEOUT": "0.5"}) == Settings(
        max_inputs=5, request_timeout=0.5
    )


def test_an_empty_variable_counts_as_unset():
    assert Settings.from_env({"EMBED_MODEL": ""}) == Settings()


def test_a_misspelt_variable_is_refused_with_the_right_name():
    with pytest.raises(BadSetting, match="EMBED_MODLE is not a setting; did you mean EMBED_MODEL"):
        Settings.from_env({"EMBED_MODLE": "x"})


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("EMBED_MAX_INPUTS", "many", "EMBED_MAX_INPUTS=many: expected `int`"),
        ("EMBED_WORKERS", "0", "EMBED_WORKERS=0: expected `int` >= 1"),
        ("EMBED_THREADS", "1", "EMBED_THREADS=1: expected `int` >= 2"),
        ("EMBED_REQUEST_TIMEOUT", "-1", "EMBED_REQUEST_TIMEOUT=-1: expected `float` > 0"),
        ("EMBED_DEVICE", "gpu", "EMBED_DEVICE=gpu: expected `str` matching"),
        ("EMBED_MAX_BATCH_TOKENS", "all", "EMBED_MAX_BATCH_TOKENS=all: invalid enum value"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(variable, value, complaint):
    with pytest.raises(BadSetting) as refusal:
        Settings.from_env({variable: value})

    assert str(refusal.value).startswith(complaint)


def test_a_port_in_place_of_an_address_is_a_misspelt_setting():
    with pytest.raises(BadSetting, match="EMBED_PORT is not a setting"):
        Settings.from_env({"EMBED_PORT": "7000"})


def test_an_address_that_cannot_be_bound_is_refused():
    with pytest.raises(BadSetting, match="EMBED_HTTP=7123: expected ADDRESS:PORT"):
        Settings.from_env({"EMBED_HTTP": "7123"})


def test_the_run_directory_is_by_default_the_one_of_uwsgi_ini(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert Settings.from_env({}).run_path() == ROOT / "run"
    assert (ROOT / "uwsgi.ini").is_file()


def test_the_run_directory_is_taken_as_it_is_given():
    assert Settings.from_env({"EMBED_RUN_DIR": "there"}).run_path() == Path("there")


def test_several_models_have_settings_each():
    each = Settings(model="a/b, /srv/c", revision="v1", device="cpu").each_model()

    assert [(one.model, one.revision, one.device) for one in each] == [("a/b", "v1", "cpu"), ("/srv/c", "v1", "cpu")]
    assert [one.revision for one in Settings(model="a,b", revision="v1,v2").each_model()] == ["v1", "v2"]


def test_the_reranker_has_settings_too_and_the_last_revision():
    assert Settings().reranker() is None

    settings = Settings(model="a,b", rerank_model="c/d", revision="v1,v2,v3")
    own = settings.reranker()
    assert (own.model, own.revision, [each.revision for each in settings.each_model()]) == ("c/d", "v3", ["v1", "v2"])
    assert Settings(rerank_model="c/d", revision="v1").reranker().revision == "v1"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rerank_model": "c", "revision": "v1,v2,v3"}, "one for each of the 2, in the order of EMBED_MODEL"),
        ({"model": "a,"}, "EMBED_MODEL=a,: name each model once"),
        ({"model": "a,b,a"}, "EMBED_MODEL=a,b,a: name each model once"),
        ({"model": "a,b,c", "revision": "v1,v2"}, "EMBED_REVISION=v1,v2: give one revision for all models"),
        ({"revision": "v1,v2"}, "EMBED_REVISION=v1,v2: give one revision for all models"),
    ],
)
def test_a_list_of_models_that_cannot_be_right_is_refused(settings, complaint):
    with pytest.raises(BadSetting, match=complaint):
        Settings(**settings).each_model()
