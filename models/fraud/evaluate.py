"""Splits in time and the three figures of merit, as the fraud detection handbook defines them.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne and others, ULB, 2022), sections
3.4 (split, performance) and 4.3 (card precision), and its shared functions; repository
Fraud-Detection-Handbook/fraud-detection-handbook at commit 62ad580595010c572d738fda59343e7e113d16fa.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from models.fraud.simulate import Integers, World

TRAIN_DAYS = DELAY_DAYS = TEST_DAYS = 7
CARDS_CHECKED_PER_DAY = 100
FRAUD_SCENARIOS = {1: "amount", 2: "terminal", 3: "customer"}

type Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Split:
    """Positions in a world: a week to learn from, and a week to be judged on that starts a week after it."""

    train: Integers
    test: Integers


@dataclass(frozen=True, slots=True)
class Performance:
    """The three figures of merit, each in 0..1."""

    auc_roc: float
    average_precision: float
    card_precision_100: float

    def rounded(self) -> dict[str, float]:
        """Return the figures by name, with four decimals."""
        return {
            "auc_roc": round(self.auc_roc, 4),
            "average_precision": round(self.average_precision, 4),
            "card_precision_100": round(self.card_precision_100, 4),
        }


@dataclass(frozen=True, slots=True)
class AlertQuality:
    """What an analyst would see at one threshold; recall per scenario by the scenario's name."""

    alert_rate: float
    precision: float
    recall: float
    recall_by_scenario: dict[str, float]


def days_of(world: World) -> Integers:
    """Return each transaction's day of the simulation, 0 for the first."""
    return (world.occurred_at - world.parameters.start) // 86_400


def split_in_time(world: World, first_day: int) -> Split:
    """Split off a training week from ``first_day``, a week of delay, and a test week.

    A card that is known to be compromised when a test day begins is not judged on that day: the cards with a fraud
    in the training week, and those with a fraud seven days and more before the test day's eve, as in the source.
    """
    day = days_of(world)
    in_training = (day >= first_day) & (day < first_day + TRAIN_DAYS)
    known = set(world.customer[in_training & world.is_fraud].tolist())
    tested: list[Integers] = []
    for offset in range(TEST_DAYS):
        newly_known = (day == first_day + TRAIN_DAYS + offset - 1) & world.is_fraud
        known.update(world.customer[newly_known].tolist())
        today = np.flatnonzero(day == first_day + TRAIN_DAYS + DELAY_DAYS + offset)
        tested.append(today[~np.isin(world.customer[today], sorted(known))])
    return Split(np.flatnonzero(in_training), np.concatenate(tested))


def assess(world: World, positions: Integers, scores: Scores) -> Performance:
    """Judge the scores of the transactions at ``positions`` (same length, higher is more suspicious)."""
    truth = world.is_fraud[positions]
    return Performance(
        auc_roc=float(roc_auc_score(truth, scores)),
        average_precision=float(average_precision_score(truth, scores)),
        card_precision_100=card_precision(
            days_of(world)[positions], world.customer[positions], truth, scores, CARDS_CHECKED_PER_DAY
        ),
    )


def card_precision(
    days: Integers, cards: Integers, is_fraud: NDArray[np.bool_], scores: Scores, checked_per_day: int
) -> float:
    """Return the mean over days of (compromised cards among the ``checked_per_day`` most suspicious) / that number.

    A card's suspicion on a day is its highest score; it is compromised where any of its transactions of the day is a
    fraud. A compromised card that was found is out of the game on later days. Ties go to the lower card number.
    """
    found: set[int] = set()
    precisions = []
    for day in np.unique(days):
        today = np.flatnonzero((days == day) & ~np.isin(cards, sorted(found)))
        own_cards, index = np.unique(cards[today], return_inverse=True)
        suspicion = np.full(len(own_cards), -np.inf)
        np.maximum.at(suspicion, index, scores[today])
        compromised = np.zeros(len(own_cards), dtype=np.bool_)
        np.logical_or.at(compromised, index, is_fraud[today])
        checked = np.argsort(-suspicion, kind="stable")[:checked_per_day]
        caught = own_cards[checked[compromised[checked]]]
        precisions.append(len(caught) / checked_per_day)
        found.update(caught.tolist())
    return float(np.mean(precisions))


def threshold_for_alert_rate(scores: Scores, alert_rate: float) -> float:
    """Return the threshold that at most the given share of the scores reaches or exceeds, with six decimals."""
    alerts = int(len(scores) * alert_rate)
    highest_silent = np.sort(scores)[len(scores) - alerts - 1]
    return float(np.ceil(highest_silent * 1e6 + 0.5) / 1e6)


def alert_quality(world: World, positions: Integers, scores: Scores, threshold: float) -> AlertQuality:
    """Judge alerts raised where a score reaches ``threshold``."""
    alerted = scores >= threshold
    truth = world.is_fraud[positions]
    scenario = world.scenario[positions]
    return AlertQuality(
        alert_rate=float(alerted.mean()),
        precision=float(truth[alerted].mean()),
        recall=float(alerted[truth].mean()),
        recall_by_scenario={
            name: float(alerted[scenario == number].mean()) for number, name in FRAUD_SCENARIOS.items()
        },
    )
