"""The words of the tools: money from minor units, moments, numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_answers import counted, moment, money


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (31_200, "EUR", "312.00 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (123_456_789, "USD", "1,234,567.89 USD"),
        (1_200, "JPY", "1,200 JPY"),
        (1_234, "KWD", "1.234 KWD"),
    ],
)
def test_money_is_written_from_minor_units(amount: int, currency: str, words: str) -> None:
    assert money(amount, currency) == words


@given(amount=st.integers(0, 10**18))
def test_money_loses_no_cent(amount: int) -> None:
    assert int(money(amount, "EUR").removesuffix(" EUR").replace(",", "").replace(".", "")) == amount


def test_moment_is_written_in_utc() -> None:
    assert moment(1_795_269_900) == "21 November 2026, 14:05 UTC"


def test_one_is_not_many() -> None:
    assert (counted(1, "card"), counted(2, "card"), counted(0, "card")) == ("1 card", "2 cards", "0 cards")
