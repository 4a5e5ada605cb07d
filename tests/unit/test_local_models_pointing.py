"""Which of several things that were told a person points at."""

import pytest

from local.models.pointing import by_amount, by_name, only_points, place_in, plainly_pointed

TOLD = (
    "TX-1: 9.90 EUR with card CARD-1 on 13 November 2026. TX-2: 1,880.00 EUR with card CARD-1 on 16 November, flagged."
)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("block the second one", 1),
        ("the first of them, please", 0),
        ("the last of these wasn't me", -1),
        ("explain the third", 2),
        ("why was the second payment flagged?", 1),
        ("card number two", 1),
        ("everything since the first", None),
        ("the first of November", None),
        ("show me the last payment", None),
        ("wait a second", None),
        ("card number 2204", None),
    ],
)
def test_place_is_told_from_a_day_and_from_the_newest(said: str, place: int | None) -> None:
    assert place_in(said) == place


@pytest.mark.parametrize(
    ("said", "transaction"),
    [
        ("tell me about the 9.90 one", "TX-1"),
        ("why was the 1880 euro payment stopped?", "TX-2"),
        ("why did you stop the big one?", "TX-2"),
        ("dispute the smaller one", "TX-1"),
        ("explain TX-9", None),
        ("what did I pay in the last 9 days?", None),
    ],
)
def test_transaction_is_found_by_its_amount_or_size(said: str, transaction: str | None) -> None:
    assert by_amount(said, [TOLD]) == transaction


def test_what_only_points_says_nothing_of_what_is_wanted() -> None:
    assert plainly_pointed("block the second one") == "block this one"
    assert only_points("and the second one?")
    assert not only_points("block the second one")


@pytest.mark.parametrize(
    ("said", "transaction"),
    [
        ("what about the Oslo one?", "TX-1"),
        ("the payment in bergen wasn't mine", "TX-2"),
        ("the flagged one", "TX-2"),
        ("the one with my card", None),
        ("the Paris one", None),
    ],
)
def test_transaction_is_found_by_a_word_that_was_told_of_it_alone(said: str, transaction: str | None) -> None:
    told = "TX-1: 5.00 EUR with card CARD-1 in Oslo. TX-2: 7.00 EUR with card CARD-1 in Bergen, flagged."
    assert by_name(said, ["", told]) == transaction
