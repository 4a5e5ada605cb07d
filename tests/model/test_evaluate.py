"""The figures of merit, against small worked examples and a recount that follows the source's words."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fraud.evaluate import (
    alert_quality,
    assess,
    card_precision,
    days_of,
    split_in_time,
    threshold_for_alert_rate,
)
from models.fraud.simulate import World, WorldParameters, simulate

rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans(), st.integers(0, 1_000)), min_size=1, max_size=60
)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(WorldParameters(customers=1_000, terminals=2_000, days=60, seed=2))


def test_card_precision_counts_cards_once_a_day_by_their_highest_score() -> None:
    days = np.array([0, 0, 0, 0])
    cards = np.array([1, 1, 2, 3])
    is_fraud = np.array([True, False, False, True])
    scores = np.array([0.1, 0.9, 0.5, 0.2])

    assert card_precision(days, cards, is_fraud, scores, checked_per_day=2) == 0.5  # cards 1 and 2 are checked


def test_card_precision_does_not_count_a_card_again_that_was_found_before() -> None:
    days = np.array([0, 1])
    cards = np.array([1, 1])

    assert card_precision(days, cards, np.array([True, True]), np.array([0.9, 0.9]), checked_per_day=1) == 0.5


def test_card_precision_checks_the_next_card_when_the_most_suspicious_was_found_before() -> None:
    days = np.array([0, 1, 1])
    cards = np.array([1, 1, 2])

    assert card_precision(days, cards, np.array([True] * 3), np.array([0.9, 0.9, 0.1]), checked_per_day=1) == 1.0


@given(rows, st.integers(1, 5))
def test_card_precision_equals_a_recount_in_plain_words(
    drawn: list[tuple[int, int, bool, int]], checked_per_day: int
) -> None:
    # distinct scores: the source does not say how it breaks ties
    scores = [score + position / 1_000 for position, (*_, score) in enumerate(drawn)]
    columns = [np.array(column) for column in zip(*drawn, strict=True)]

    found: set[int] = set()
    precisions = []
    for day in sorted({day for day, *_ in drawn}):
        highest: dict[int, float] = defaultdict(float)
        compromised: set[int] = set()
        for (own_day, card, is_fraud, _), score in zip(drawn, scores, strict=True):
            if own_day == day and card not in found:
                highest[card] = max(highest[card], score)
                compromised |= {card} if is_fraud else set()
        caught = compromised & set(sorted(highest, key=lambda card: -highest[card])[:checked_per_day])
        precisions.append(len(caught) / checked_per_day)
        found |= caught

    result = card_precision(columns[0], columns[1], columns[2], np.array(scores), checked_per_day)
    assert result == pytest.approx(sum(precisions) / len(precisions))


def test_split_leaves_a_week_between_learning_and_judging(world: World) -> None:
    split = split_in_time(world, 38)
    day = days_of(world)

    assert np.unique(day[split.train]).tolist() == list(range(38, 45))
    assert np.unique(day[split.test]).tolist() == list(range(52, 59))


def test_split_does_not_judge_cards_that_are_known_to_be_compromised(world: World) -> None:
    split = split_in_time(world, 38)
    day = days_of(world)

    for position in split.test:
        own = (world.customer == world.customer[position]) & world.is_fraud
        known_until = day[position] - 8  # on the eve of the day, labels of seven days before it are known
        assert not (own & (day >= 38) & (day <= known_until)).any()
    assert len(split.test) > 0.8 * ((day >= 52) & (day <= 58)).sum()


def test_perfect_scores_reach_one_and_the_ceiling(world: World) -> None:
    split = split_in_time(world, 38)

    performance = assess(world, split.test, world.is_fraud[split.test].astype(np.float64))

    assert (performance.auc_roc, performance.average_precision) == (1, 1)
    assert 0 < performance.card_precision_100 < 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=500), st.sampled_from([0.005, 0.02, 0.1]))
def test_threshold_raises_no_more_alerts_than_asked_for(scores: list[float], alert_rate: float) -> None:
    threshold = threshold_for_alert_rate(np.array(scores), alert_rate)

    assert np.mean(np.array(scores) >= threshold) <= alert_rate


def test_threshold_raises_as_many_alerts_as_asked_for_when_scores_differ() -> None:
    scores = np.arange(1_000) / 1_000

    assert (scores >= threshold_for_alert_rate(scores, 0.005)).sum() == 5


def test_alert_quality_counts_what_reaches_the_threshold(world: World) -> None:
    positions = np.arange(len(world))
    scores = np.where(world.scenario == 1, 0.5, 0.1)

    quality = alert_quality(world, positions, scores, 0.5)

    assert quality.precision == 1
    assert quality.recall_by_scenario == {"amount": 1, "terminal": 0, "customer": 0}
    assert quality.recall == pytest.approx((world.scenario == 1).sum() / world.is_fraud.sum())
    assert quality.alert_rate == pytest.approx((world.scenario == 1).mean())
