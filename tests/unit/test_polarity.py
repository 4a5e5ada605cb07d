"""What turns a statement round against its source is found; what only looks like it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polarity import contradictions

DENIES, SAYS = "it denies what is said there", "it says what is denied there"


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ("Slavery is prohibited.", "No one shall be held in slavery or servitude."),
        ("Slavery shall not exist in the land.", "Neither slavery nor servitude shall exist in the land."),
        ("The right to vote may not be abridged.", "The right to vote shall not be denied or abridged."),
        (
            "His wife did not understand his character.",
            "Time was insufficient to make his wife understand his character.",
        ),
        ("The account can be closed at any time.", "The account can be closed at any time without giving reasons."),
        ("The golden key lay on the table.", "There was nothing on the table except a golden key."),
        ("Nobody may be elected twice.", "No person shall be elected twice."),
        ("The customer can't withdraw money.", "The customer cannot withdraw money."),
        ("Profit rose.", "Profit rose while the loss of passengers fell."),
        ("Whoever acted can be elected only once.", "No person who acted shall be elected more than once."),
    ],
)
def test_the_same_thing_said_another_way_is_no_contradiction(statement: str, source: str) -> None:
    assert contradictions(statement, source) == []


@pytest.mark.parametrize(
    ("statement", "source", "problem"),
    [
        ("The account cannot be closed at any time.", "The account can be closed at any time.", DENIES),
        ("The fee was never charged.", "The fee was charged in March.", DENIES),
        ("Slavery is not prohibited.", "Slavery shall be prohibited.", SAYS),
        ("The lender may raise the rate.", "The lender may not raise the rate.", SAYS),
        ("Everybody may be subjected to torture.", "No one shall be subjected to torture.", SAYS),
        ("Passengers were hurt in January.", "No passengers were hurt in January.", SAYS),
        ("Revenue fell by 8%.", "Revenue rose by 8%.", "it says fell where rose is said there"),
        ("The claim was approved.", "The claim was rejected.", "it says approved where rejected is said there"),
        ("He paid before the harvest.", "He paid after the harvest.", "it says before where after is said there"),
    ],
)
def test_what_was_turned_round_is_named(statement: str, source: str, problem: str) -> None:
    assert problem in contradictions(statement, source)


@given(st.text(max_size=200))
def test_no_text_contradicts_itself(text: str) -> None:
    assert contradictions(text, text) == []
