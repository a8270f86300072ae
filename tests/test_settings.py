import pytest

from service.errors import BadSetting
from service.settings import Settings


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
