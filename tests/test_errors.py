import pytest

from service.errors import split_complaint


@pytest.mark.parametrize(
    ("complaint", "place", "problem"),
    [
        ("Expected `object`, got `array`", "", "expected `object`, got `array`"),
        ("Expected `str`, got `int` - at `$.input[1]`", "input[1]", "expected `str`, got `int`"),
        ("Invalid enum value 'x - at `$.y`' - at `$.z`", "z", "invalid enum value 'x - at `$.y`'"),
        ("Invalid enum value 'two\nlines' - at `$.z`", "z", "invalid enum value 'two\nlines'"),
    ],
)
def test_a_complaint_is_split_into_place_and_problem(complaint, place, problem):
    assert split_complaint(complaint) == (place, problem)
