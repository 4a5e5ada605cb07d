"""Rules beside the model: what a fraud analyst would call suspicious without any statistics.

Each rule is a pure function of the card's profile before the transaction and the transaction. A finding is something
to say, not a decision: ``verdict.py`` decides. Limits are in minor units of a currency with two decimals, such as
cents. On simulated traffic (``models/fraud``) the rules are nearly silent on what is genuine; the model card states
the counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import Literal

from features import CardProfile, Movement, card_history_30d
from transaction import Transaction

type Severity = Literal["low", "medium", "high"]

VELOCITY_COUNT = 5
VELOCITY_SECONDS = 600
PROFILE_FACTOR = 5
PROFILE_MINIMUM_COUNT = 10  # a mean of fewer transactions says little about a person
TRAVEL_KILOMETRES_PER_HOUR = 900  # an airliner
TRAVEL_MINIMUM_KILOMETRES = 100  # closer terminals, clocks that disagree by seconds: no journey to speak of
AMOUNT_LIMIT_MINOR = 100_000
NEW_CARD_COUNT = 3
NEW_CARD_AMOUNT_MINOR = 30_000
EARTH_RADIUS_KILOMETRES = 6_371


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule fired: its code, how grave that is, and a sentence with the numbers for people."""

    code: str
    severity: Severity
    explanation: str


type Rule = Callable[[CardProfile, Transaction], Finding | None]


def evaluate_rules(card: CardProfile, transaction: Transaction) -> tuple[Finding, ...]:
    """Return the findings of all rules, in the order of ``RULES``; ``card`` is the profile before the transaction."""
    return tuple(finding for rule in RULES if (finding := rule(card, transaction)))


def velocity(card: CardProfile, transaction: Transaction) -> Finding | None:
    """Fire where the card was used five times or more within the ten minutes that end with this transaction."""
    begin = transaction.occurred_at - VELOCITY_SECONDS
    count = 1 + sum(begin < movement.occurred_at <= transaction.occurred_at for movement in card.movements)
    if count < VELOCITY_COUNT:
        return None
    return Finding("VELOCITY", "high", f"The card was used {count} times within 10 minutes.")


def amount_above_limit(_: CardProfile, transaction: Transaction) -> Finding | None:
    """Fire where the amount is above what any card may spend at once without a question."""
    if transaction.amount_minor <= AMOUNT_LIMIT_MINOR:
        return None
    amount, limit = _money(transaction.amount_minor, transaction), _money(AMOUNT_LIMIT_MINOR, transaction)
    return Finding("AMOUNT_ABOVE_LIMIT", "high", f"The amount {amount} is above the limit of {limit}.")


def impossible_travel(card: CardProfile, transaction: Transaction) -> Finding | None:
    """Fire where the card would have travelled faster than an airliner from or to a movement next to this one in time.

    For a late record that is the movement before it as well as the one after it.
    """
    here = Movement(transaction.occurred_at, transaction.latitude, transaction.longitude)
    before = [movement for movement in card.movements if movement.occurred_at <= here.occurred_at]
    after = [movement for movement in card.movements if movement.occurred_at > here.occurred_at]
    for neighbour in (*before[-1:], *after[:1]):
        kilometres = distance_kilometres(neighbour, here)
        hours = abs(here.occurred_at - neighbour.occurred_at) / 3_600
        if kilometres >= TRAVEL_MINIMUM_KILOMETRES and kilometres > TRAVEL_KILOMETRES_PER_HOUR * hours:
            sentence = f"The card was used {kilometres:.0f} km apart within {hours * 60:.0f} minutes."
            return Finding("IMPOSSIBLE_TRAVEL", "high", sentence)
    return None


def amount_above_profile(card: CardProfile, transaction: Transaction) -> Finding | None:
    """Fire where the amount is five times the card's mean of 30 days, given at least ten transactions in them."""
    count, total = card_history_30d(card, transaction)
    if count < PROFILE_MINIMUM_COUNT or transaction.amount_minor * count < PROFILE_FACTOR * total:
        return None
    amount, mean = _money(transaction.amount_minor, transaction), _money(total // count, transaction)
    sentence = f"The amount {amount} is at least {PROFILE_FACTOR} times the card's 30-day mean of {mean}."
    return Finding("AMOUNT_ABOVE_PROFILE", "medium", sentence)


def new_card_with_large_amount(card: CardProfile, transaction: Transaction) -> Finding | None:
    """Fire where a card that was hardly used in 30 days, or never, pays a large amount."""
    if transaction.amount_minor <= NEW_CARD_AMOUNT_MINOR:
        return None
    count, _ = card_history_30d(card, transaction)
    if count >= NEW_CARD_COUNT:
        return None
    amount = _money(transaction.amount_minor, transaction)
    sentence = f"The amount {amount} is large for a card with {count} earlier transactions in 30 days."
    return Finding("NEW_CARD_LARGE_AMOUNT", "medium", sentence)


RULES: tuple[Rule, ...] = (
    velocity,
    amount_above_limit,
    impossible_travel,
    amount_above_profile,
    new_card_with_large_amount,
)


def distance_kilometres(one: Movement, other: Movement) -> float:
    """Return the great-circle distance between two places by the haversine formula, on a sphere."""
    latitude_one, latitude_other = radians(one.latitude), radians(other.latitude)
    half_latitude = sin((latitude_other - latitude_one) / 2)
    half_longitude = sin(radians(other.longitude - one.longitude) / 2)
    haversine = half_latitude**2 + cos(latitude_one) * cos(latitude_other) * half_longitude**2
    return 2 * EARTH_RADIUS_KILOMETRES * asin(min(1.0, sqrt(haversine)))


def _money(minor: int, transaction: Transaction) -> str:
    return f"{transaction.currency} {minor // 100:,}.{minor % 100:02d}"
