"""The online features: windows, horizons, lateness, and the profiles that carry them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import (
    CARD_DAYS_KEPT,
    CARD_HOURS_KEPT,
    FEATURE_NAMES,
    MOVEMENTS_KEPT,
    TERMINAL_DAYS_KEPT,
    CardProfile,
    TerminalProfile,
    add_known_fraud,
    add_to_card,
    add_to_terminal,
    card_from_dict,
    card_to_dict,
    compute_features,
    terminal_from_dict,
    terminal_to_dict,
)
from tests.unit.transaction_builder import DAY, HOUR, NOON, a_card, a_transaction
from transaction import Transaction

amounts = st.integers(1, 10**9)
moments = st.integers(NOON - 60 * DAY, NOON)
transactions = st.builds(
    lambda amount_minor, occurred_at, latitude, longitude: a_transaction(
        amount_minor=amount_minor, occurred_at=occurred_at, latitude=latitude, longitude=longitude
    ),
    amounts,
    moments,
    st.floats(-90, 90),
    st.floats(-180, 180),
)
histories = st.lists(transactions, max_size=60)
in_order = histories.map(lambda history: sorted(history, key=lambda transaction: transaction.occurred_at))


def features_of(card: CardProfile, terminal: TerminalProfile, transaction: Transaction) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, compute_features(card, terminal, transaction), strict=True))


def a_terminal(past: list[Transaction], frauds: list[Transaction]) -> TerminalProfile:
    terminal = TerminalProfile()
    for transaction in past:
        terminal = add_to_terminal(terminal, transaction)
    for fraud in frauds:
        terminal = add_known_fraud(terminal, fraud.occurred_at)
    return terminal


def test_features_of_an_unknown_card_at_an_unknown_terminal_count_only_the_transaction_itself() -> None:
    features = features_of(CardProfile(), TerminalProfile(), a_transaction(amount_minor=1_234))

    assert features == {
        "amount": 1_234,
        "is_weekend": 0,
        "is_night": 0,
        "card_count_1d": 1,
        "card_mean_amount_1d": 1_234,
        "card_count_7d": 1,
        "card_mean_amount_7d": 1_234,
        "card_count_30d": 1,
        "card_mean_amount_30d": 1_234,
        "terminal_count_1d": 0,
        "terminal_risk_1d": 0,
        "terminal_count_7d": 0,
        "terminal_risk_7d": 0,
        "terminal_count_30d": 0,
        "terminal_risk_30d": 0,
    }


@given(in_order.filter(bool))
def test_card_windows_equal_a_recount_of_the_raw_history(history: list[Transaction]) -> None:
    *past, current = history
    features = features_of(a_card(past), TerminalProfile(), current)

    for name, seconds_per_bucket, width in (("1d", HOUR, 24), ("7d", DAY, 7), ("30d", DAY, 30)):
        bucket = current.occurred_at // seconds_per_bucket
        window = [
            transaction.amount_minor
            for transaction in history
            if bucket - width < transaction.occurred_at // seconds_per_bucket <= bucket
        ]
        assert features[f"card_count_{name}"] == len(window)
        assert features[f"card_mean_amount_{name}"] == sum(window) / len(window)


@given(in_order, st.data())
def test_terminal_windows_equal_a_recount_of_the_raw_history(past: list[Transaction], data: st.DataObject) -> None:
    frauds = [transaction for transaction in past if data.draw(st.booleans())]
    current = a_transaction(occurred_at=NOON)
    features = features_of(CardProfile(), a_terminal(past, frauds), current)

    last = NOON // DAY - 7
    for width in (1, 7, 30):
        count = sum(last - width < transaction.occurred_at // DAY <= last for transaction in past)
        known = sum(last - width < transaction.occurred_at // DAY <= last for transaction in frauds)
        assert features[f"terminal_count_{width}d"] == count
        assert features[f"terminal_risk_{width}d"] == (known / count if count else 0)


@given(histories.filter(bool), st.randoms(use_true_random=False))
def test_terminal_profile_does_not_depend_on_the_order_in_which_shards_deliver(
    past: list[Transaction], random: object
) -> None:
    shuffled = list(past)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis does not export the type of its randoms

    assert a_terminal(past, []) == a_terminal(shuffled, [])


@given(in_order, st.lists(st.integers(NOON - 6 * DAY, NOON), max_size=20))
def test_terminal_features_do_not_change_by_what_happens_within_the_label_delay(
    past: list[Transaction], recent: list[int]
) -> None:
    current = a_transaction(occurred_at=NOON)
    before = a_terminal(past, past[::2])
    after = before
    for occurred_at in recent:
        after = add_to_terminal(after, a_transaction(occurred_at=occurred_at))

    assert compute_features(CardProfile(), after, current) == compute_features(CardProfile(), before, current)


@given(in_order.filter(bool), st.integers(0, DAY - 1))
def test_late_card_record_sees_the_windows_up_to_its_own_buckets(past: list[Transaction], lateness: int) -> None:
    late = a_transaction(occurred_at=past[-1].occurred_at - lateness)
    features = features_of(a_card(past), TerminalProfile(), late)

    for name, seconds_per_bucket, width in (("1d", HOUR, 24), ("7d", DAY, 7), ("30d", DAY, 30)):
        bucket = late.occurred_at // seconds_per_bucket
        window = [one for one in past if bucket - width < one.occurred_at // seconds_per_bucket <= bucket]
        assert features[f"card_count_{name}"] == len(window) + 1


def test_record_older_than_the_horizon_does_not_change_the_buckets() -> None:
    card = a_card([a_transaction(occurred_at=NOON)])

    changed = add_to_card(card, a_transaction(occurred_at=NOON - 40 * DAY))

    assert (changed.hours, changed.days) == (card.hours, card.days)


def test_late_record_takes_its_place_among_the_movements() -> None:
    card = a_card(a_transaction(occurred_at=NOON + minute * 60) for minute in (0, 20, 10))

    assert [movement.occurred_at for movement in card.movements] == [NOON, NOON + 600, NOON + 1_200]


@given(histories)
def test_profiles_stay_bounded_whatever_is_added(history: list[Transaction]) -> None:
    card, terminal = a_card(history), a_terminal(history, history)

    assert len(card.hours) <= CARD_HOURS_KEPT
    assert len(card.days) <= CARD_DAYS_KEPT
    assert len(card.movements) <= MOVEMENTS_KEPT
    assert len(terminal.days) <= TERMINAL_DAYS_KEPT


def test_card_profile_is_bounded_after_a_year_of_a_transaction_every_hour() -> None:
    card = a_card(a_transaction(occurred_at=NOON + hour * HOUR) for hour in range(365 * 24))

    assert (len(card.hours), len(card.days), len(card.movements)) == (CARD_HOURS_KEPT, CARD_DAYS_KEPT, MOVEMENTS_KEPT)
    assert len(json.dumps(card_to_dict(card))) < 4_096


@given(histories)
def test_card_profile_survives_the_way_through_json(history: list[Transaction]) -> None:
    card = a_card(history)

    assert card_from_dict(json.loads(json.dumps(card_to_dict(card)))) == card


@given(histories)
def test_terminal_profile_survives_the_way_through_json(history: list[Transaction]) -> None:
    terminal = a_terminal(history, history[::3])

    assert terminal_from_dict(json.loads(json.dumps(terminal_to_dict(terminal)))) == terminal


@given(histories)
def test_money_and_counts_stay_integers_and_none_is_lost(history: list[Transaction]) -> None:
    card = a_card(history)
    newest = max((one.occurred_at for one in history), default=0)
    kept = [one for one in history if one.occurred_at // DAY > newest // DAY - CARD_DAYS_KEPT]

    assert all(type(value) is int for totals in card.days.values() for value in totals)
    assert sum(total for _, total in card.days.values()) == sum(one.amount_minor for one in kept)
    assert sum(count for count, _ in card.days.values()) == len(kept)


def test_adding_leaves_the_given_profile_as_it_was() -> None:
    card = a_card([a_transaction()])
    before = card_to_dict(card)

    add_to_card(card, a_transaction(amount_minor=5))

    assert card_to_dict(card) == before


@given(st.integers(0, 2**32))
def test_weekend_and_night_agree_with_the_calendar(occurred_at: int) -> None:
    features = features_of(CardProfile(), TerminalProfile(), a_transaction(occurred_at=occurred_at))
    moment = datetime.fromtimestamp(occurred_at, UTC)

    assert features["is_weekend"] == (moment.weekday() >= 5)
    assert features["is_night"] == (moment.hour <= 6)


def test_label_for_a_forgotten_day_changes_nothing() -> None:
    terminal = a_terminal([a_transaction(occurred_at=NOON)], [])

    assert add_known_fraud(terminal, NOON - (TERMINAL_DAYS_KEPT + 1) * DAY) == terminal


@pytest.mark.parametrize("broken", [{}, {"hours": [[1, 2]], "days": [], "movements": []}])
def test_item_that_is_no_card_profile_is_refused(broken: dict[str, list[list[int]]]) -> None:
    with pytest.raises((KeyError, ValueError)):
        card_from_dict(broken)  # type: ignore[arg-type] # that it is not a profile is the point
