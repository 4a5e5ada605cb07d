"""Numbers in a statement that are not in its source are found, however both are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantities import missing


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ("It cost 1.2 million dollars.", "The price was $1,200,000."),
        ("It cost USD 5.", "Five dollars was the price."),
        ("Revenue was €1.42 billion.", "Revenue of EUR 1,420 million."),
        ("About 1.4 billion euros.", "EUR 1,420,000,000"),
        ("87 years ago", "Four score and seven years ago"),
        ("It rose by 8 percent.", "up 8%"),
        ("It rose by 8 per cent.", "up 8 %"),
        ("On March 1, 2026 it starts.", "It starts on 2026-03-01."),
        ("On 1 March 2026 it starts.", "It starts on the 1st of March 2026."),
        ("It starts in March 2026.", "It starts on 1 March 2026."),
        ("It starts on 1 March.", "It starts on March 1, 2026."),
        ("It was 2026.", "On 1 March 2026."),
        ("The term ends on January 20.", "on the 20th day of January"),
        ("two thirds of them", "a majority of two-thirds"),
        ("The third of them.", "The 3rd of them."),
        ("twenty-five years", "25 years"),
        ("two hundred and twenty", "220"),
        ("EUR 50 a month", "Amounts in EUR. A month: 50."),
        ("One of them left.", "Nobody stayed."),
    ],
)
def test_the_same_quantity_in_another_form_is_found(statement: str, source: str) -> None:
    assert missing(statement, source) == []


@pytest.mark.parametrize(
    ("statement", "source", "problem"),
    [
        ("Due within 41 days.", "Due within 14 days.", "the number 41 is not there"),
        ("Due within forty-one days.", "Due within 14 days.", "the number forty-one is not there"),
        ("It rose by 9%.", "It rose by 8%.", "the percentage 9% is not there"),
        ("It rose by 8%.", "It rose by 8 euros.", "8% is no percentage there"),
        ("It cost EUR 50.", "It cost 50 dollars.", "the amount EUR 50 is not in EUR there"),
        ("It cost $1.3 million.", "It cost $1,200,000.", "the amount $1.3 million is not there"),
        ("On 2 March 2026.", "On 1 March 2026.", "the date 2 March 2026 is not there"),
        ("On 1 April 2026.", "On 1 March 2026.", "the date 1 April 2026 is not there"),
        ("In March 2025.", "On 1 March 2026.", "the date March 2025 is not there"),
        ("It was 2025.", "On 1 March 2026.", "the number 2025 is not there"),
    ],
)
def test_another_quantity_is_named(statement: str, source: str, problem: str) -> None:
    assert missing(statement, source) == [problem]


@given(st.integers(2, 10**9))
def test_any_whole_number_is_found_with_and_without_separators(number: int) -> None:
    assert missing(f"It was {number}.", f"It was {number:,} then.") == []
    assert missing(f"It was {number:,} then.", f"It was {number + 1}.") == [f"the number {number:,} is not there"]


@given(st.text(max_size=200))
def test_any_text_has_all_of_its_own_quantities(text: str) -> None:
    assert missing(text, text) == []
