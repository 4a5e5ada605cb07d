"""Dataclasses as JSON: what is written is read again, and what does not fit is named."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.json_objects import MalformedObjectError, decode, encode


@dataclass(frozen=True, slots=True)
class Part:
    page_number: int
    weight: float


@dataclass(frozen=True, slots=True)
class Whole:
    file_name: str
    parts: tuple[Part, ...]
    is_final: bool
    title: str | None
    language: str | None = None


parts = st.builds(Part, st.integers(), st.floats(allow_nan=False, allow_infinity=False))
wholes = st.builds(
    Whole, st.text(), st.lists(parts).map(tuple), st.booleans(), st.none() | st.text(), st.none() | st.text()
)


@given(wholes)
def test_what_is_written_is_read_again_for_any_value(whole: Whole) -> None:
    assert decode(Whole, json.loads(json.dumps(encode(whole)))) == whole


def test_fields_are_written_in_camel_case() -> None:
    assert encode(Whole("a", (Part(1, 0.5),), True, None)) == {
        "fileName": "a",
        "parts": [{"pageNumber": 1, "weight": 0.5}],
        "isFinal": True,
        "title": None,
        "language": None,
    }


def test_an_unknown_field_is_passed_over_and_an_absent_optional_one_is_none() -> None:
    said = {"fileName": "a", "parts": [], "isFinal": False, "somethingNew": 1}
    assert decode(Whole, said) == Whole("a", (), False, None)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "the object is no object but list"),
        ({"parts": [], "isFinal": True}, "fileName is no str but NoneType"),
        ({"fileName": 1, "parts": [], "isFinal": True}, "fileName is no str but int"),
        ({"fileName": "a", "parts": {}, "isFinal": True}, "parts is no list but dict"),
        ({"fileName": "a", "parts": [1], "isFinal": True}, r"parts\[0\] is no object but int"),
        (
            {"fileName": "a", "parts": [{"pageNumber": True, "weight": 1}], "isFinal": True},
            r"parts\[0\].pageNumber is no int but bool",
        ),
        ({"fileName": "a", "parts": [], "isFinal": "yes"}, "isFinal is no bool but str"),
    ],
)
def test_what_does_not_fit_is_named(said: object, problem: str) -> None:
    with pytest.raises(MalformedObjectError, match=problem):
        decode(Whole, said)
