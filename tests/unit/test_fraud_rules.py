"""The rules beside the model: where each fires, where it just does not, and what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import CardProfile, Movement
from fraud_rules import distance_kilometres, evaluate_rules
from tests.unit.transaction_builder import DAY, HOUR, NOON, a_card, a_transaction
from transaction import Transaction

BRUSSELS = Movement(NOON, 50.85, 4.35)
NEW_YORK = Movement(NOON, 40.71, -74.01)

places = st.builds(Movement, st.just(NOON), st.floats(-90, 90), st.floats(-180, 180))
gaps = st.integers(0, 30 * DAY)


def codes(card: CardProfile, transaction: Transaction) -> list[str]:
    return [finding.code for finding in evaluate_rules(card, transaction)]


def test_ordinary_payment_of_a_known_card_finds_nothing() -> None:
    card = a_card(a_transaction(occurred_at=NOON - day * DAY) for day in range(20, 0, -1))

    assert evaluate_rules(card, a_transaction(occurred_at=NOON)) == ()


def test_velocity_fires_when_a_card_is_used_for_the_fifth_time_in_ten_minutes() -> None:
    card = a_card(a_transaction(occurred_at=NOON - seconds) for seconds in (599, 400, 200, 0))

    (finding,) = evaluate_rules(card, a_transaction(occurred_at=NOON))

    assert (finding.code, finding.severity) == ("VELOCITY", "high")
    assert finding.explanation == "The card was used 5 times within 10 minutes."


def test_velocity_is_silent_when_the_first_of_five_is_ten_minutes_ago() -> None:
    card = a_card(a_transaction(occurred_at=NOON - seconds) for seconds in (600, 400, 200, 0))

    assert codes(card, a_transaction(occurred_at=NOON)) == []


@given(st.permutations([599, 400, 200, 0]))
def test_velocity_does_not_depend_on_the_order_of_arrival(ages: list[int]) -> None:
    card = a_card(a_transaction(occurred_at=NOON - seconds) for seconds in ages)

    assert codes(card, a_transaction(occurred_at=NOON)) == ["VELOCITY"]


@pytest.mark.parametrize(("amount_minor", "expected"), [(100_000, []), (100_001, ["AMOUNT_ABOVE_LIMIT"])])
def test_amount_limit_fires_above_a_thousand(amount_minor: int, expected: list[str]) -> None:
    card = a_card(a_transaction(amount_minor=90_000, occurred_at=NOON - day * DAY) for day in range(20, 0, -1))

    assert codes(card, a_transaction(amount_minor=amount_minor)) == expected


@pytest.mark.parametrize(("amount_minor", "expected"), [(9_999, []), (10_000, ["AMOUNT_ABOVE_PROFILE"])])
def test_profile_rule_fires_at_five_times_the_mean_of_thirty_days(amount_minor: int, expected: list[str]) -> None:
    card = a_card(a_transaction(amount_minor=2_000, occurred_at=NOON - day * DAY) for day in range(20, 0, -1))

    assert codes(card, a_transaction(amount_minor=amount_minor)) == expected


def test_profile_rule_says_both_amounts() -> None:
    card = a_card(a_transaction(amount_minor=2_050, occurred_at=NOON - day * DAY) for day in range(20, 0, -1))

    (finding,) = evaluate_rules(card, a_transaction(amount_minor=45_007))

    assert finding.severity == "medium"
    assert finding.explanation == "The amount EUR 450.07 is at least 5 times the card's 30-day mean of EUR 20.50."


def test_profile_rule_is_silent_when_it_knows_fewer_than_ten_transactions() -> None:
    card = a_card(a_transaction(amount_minor=2_000, occurred_at=NOON - day * DAY) for day in range(9, 0, -1))

    assert codes(card, a_transaction(amount_minor=29_000)) == []


@pytest.mark.parametrize(("amount_minor", "expected"), [(30_000, []), (30_001, ["NEW_CARD_LARGE_AMOUNT"])])
def test_new_card_rule_fires_when_an_unknown_card_pays_a_large_amount(amount_minor: int, expected: list[str]) -> None:
    assert codes(CardProfile(), a_transaction(amount_minor=amount_minor)) == expected


def test_new_card_rule_is_silent_when_the_card_was_used_three_times() -> None:
    card = a_card(a_transaction(occurred_at=NOON - hours * HOUR) for hours in (3, 2, 1))

    assert codes(card, a_transaction(amount_minor=90_000)) == []


def test_travel_rule_fires_when_a_card_crosses_an_ocean_within_an_hour() -> None:
    card = a_card([a_transaction(occurred_at=NOON - HOUR, latitude=40.71, longitude=-74.01)])

    (finding,) = evaluate_rules(card, a_transaction(occurred_at=NOON))

    assert (finding.code, finding.severity) == ("IMPOSSIBLE_TRAVEL", "high")
    assert finding.explanation == "The card was used 5889 km apart within 60 minutes."


def test_travel_rule_is_silent_when_there_was_time_for_the_flight() -> None:
    card = a_card([a_transaction(occurred_at=NOON - 7 * HOUR, latitude=40.71, longitude=-74.01)])

    assert codes(card, a_transaction(occurred_at=NOON)) == []


def test_travel_rule_is_silent_when_the_terminals_are_in_one_region() -> None:
    card = a_card([a_transaction(occurred_at=NOON, latitude=50.4)])

    assert codes(card, a_transaction(occurred_at=NOON)) == []


def test_travel_rule_looks_at_the_movement_after_when_a_record_is_late() -> None:
    card = a_card([a_transaction(occurred_at=NOON, latitude=40.71, longitude=-74.01)])

    assert codes(card, a_transaction(occurred_at=NOON - HOUR)) == ["IMPOSSIBLE_TRAVEL"]


@given(places, places, gaps)
def test_travel_rule_is_the_same_in_both_directions(one: Movement, other: Movement, gap: int) -> None:
    def found(start: Movement, end: Movement) -> list[str]:
        card = a_card([a_transaction(occurred_at=NOON - gap, latitude=start.latitude, longitude=start.longitude)])
        return codes(card, a_transaction(occurred_at=NOON, latitude=end.latitude, longitude=end.longitude))

    assert found(one, other) == found(other, one)


@given(places, places)
def test_distance_is_symmetric_and_at_most_half_the_way_around(one: Movement, other: Movement) -> None:
    assert distance_kilometres(one, other) == pytest.approx(distance_kilometres(other, one))
    assert 0 <= distance_kilometres(one, other) <= 20_016


def test_distance_between_brussels_and_new_york_is_the_known_one() -> None:
    assert distance_kilometres(BRUSSELS, NEW_YORK) == pytest.approx(5_888, abs=15)
