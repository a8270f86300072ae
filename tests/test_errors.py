import pytest

from service.errors import first_line, split_complaint


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


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", "RuntimeError"),
        ("\n \n", "RuntimeError"),
        ("said\nand told at length", "RuntimeError: said"),
        ("\nFailed at a.cpp:\n  no such operation\nmore", "RuntimeError: Failed at a.cpp: no such operation"),
    ],
)
def test_a_librarys_error_becomes_one_line(message, line):
    assert first_line(RuntimeError(message)) == line
