"""The fifteen features that the fraud model reads, and the two small profiles from which they are computed.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne, Siblini, Lebichot, Bontempi;
Université Libre de Bruxelles, 2022), section 3.3, with windows in whole buckets instead of rolling seconds, so that
a profile is a few dozen integers and the online features can equal the offline ones exactly.

The CARD. The stream's partition key is the card id, so one writer sees a card's records one after the other and its
profile may be read, changed and written. A card window includes the transaction that is being scored. The one-day
window is the transaction's hour and the 23 before it; the 7 and 30 day windows are its UTC day and the 6 or 29 before.

The TERMINAL. Records of one terminal arrive on many shards, so its counters are only ever added to. Whether a
transaction was a fraud is known seven days later at the earliest; terminal windows therefore end seven days before
the transaction's UTC day d: a window of w days is d-7-w+1 .. d-7. That delay also makes the terminal features
independent of the order in which shards are processed: nothing that happens within a week can change them.

Late records. A record is scored against the buckets up to its own and never against later ones. A card record that
is up to a day late sees complete windows, for buckets are kept a day longer than the windows need; what is later than
the horizon is scored with what is still known and not added to the buckets.

Money is minor units of the card's currency throughout, averages included; nothing here converts currencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from transaction import Transaction

SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
LABEL_DELAY_DAYS = 7
WINDOW_DAYS = (1, 7, 30)

CARD_HOURS_KEPT = 24 + 24  # the one-day window, and a day of lateness
CARD_DAYS_KEPT = 30 + 1
TERMINAL_DAYS_KEPT = LABEL_DELAY_DAYS + 30 + 3  # the delay, the widest window, and three days of lateness
MOVEMENTS_KEPT = 10

FEATURE_NAMES = (
    "amount",
    "is_weekend",
    "is_night",
    "card_count_1d",
    "card_mean_amount_1d",
    "card_count_7d",
    "card_mean_amount_7d",
    "card_count_30d",
    "card_mean_amount_30d",
    "terminal_count_1d",
    "terminal_risk_1d",
    "terminal_count_7d",
    "terminal_risk_7d",
    "terminal_count_30d",
    "terminal_risk_30d",
)

type Buckets = Mapping[int, tuple[int, int]]
"""Bucket index (hours or days since the epoch) to a count and a sum, both integers."""


class Movement(NamedTuple):
    """Where a card was used and when: seconds since the epoch, degrees (WGS 84)."""

    occurred_at: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class CardProfile:
    """What is remembered of one card: (count, sum of minor units) per hour and per day, and its last movements.

    ``movements`` is in order of time. A default instance is a card that was never seen.
    """

    hours: Buckets = field(default_factory=dict)
    days: Buckets = field(default_factory=dict)
    movements: tuple[Movement, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminalProfile:
    """What is remembered of one terminal: (transactions, known frauds) per UTC day since the epoch."""

    days: Buckets = field(default_factory=dict)


class CardProfileItem(TypedDict):
    """A card profile as plain lists, ready for JSON: [bucket, count, sum] and [occurred_at, latitude, longitude]."""

    hours: list[list[int]]
    days: list[list[int]]
    movements: list[list[float]]


class TerminalProfileItem(TypedDict):
    """A terminal profile as plain lists, ready for JSON: [day, transactions, known frauds]."""

    days: list[list[int]]


def compute_features(card: CardProfile, terminal: TerminalProfile, transaction: Transaction) -> tuple[float, ...]:
    """Return the values of ``FEATURE_NAMES``, in that order, for one transaction.

    ``card`` is the profile before the transaction; the transaction itself is counted in here.
    """
    hour = transaction.occurred_at // SECONDS_PER_HOUR
    day = transaction.occurred_at // SECONDS_PER_DAY
    amount = transaction.amount_minor
    known_day = day - LABEL_DELAY_DAYS

    count_1d, sum_1d = total_between(card.hours, hour - 23, hour)
    count_7d, sum_7d = total_between(card.days, day - 6, day)
    count_30d, sum_30d = total_between(card.days, day - 29, day)
    terminal_1d, frauds_1d = terminal.days.get(known_day, (0, 0))
    terminal_7d, frauds_7d = total_between(terminal.days, known_day - 6, known_day)
    terminal_30d, frauds_30d = total_between(terminal.days, known_day - 29, known_day)

    return (
        float(amount),
        1.0 if is_weekend(day) else 0.0,
        1.0 if is_night(hour) else 0.0,
        float(count_1d + 1),
        (sum_1d + amount) / (count_1d + 1),
        float(count_7d + 1),
        (sum_7d + amount) / (count_7d + 1),
        float(count_30d + 1),
        (sum_30d + amount) / (count_30d + 1),
        float(terminal_1d),
        frauds_1d / terminal_1d if terminal_1d else 0.0,
        float(terminal_7d),
        frauds_7d / terminal_7d if terminal_7d else 0.0,
        float(terminal_30d),
        frauds_30d / terminal_30d if terminal_30d else 0.0,
    )


def is_weekend(day: int) -> bool:
    """Tell whether a day since the epoch is a Saturday or a Sunday (day 0, 1970-01-01, was a Thursday)."""
    return (day + 3) % 7 >= 5


def is_night(hour: int) -> bool:
    """Tell whether an hour since the epoch starts between 00:00 and 06:00 UTC, both included (the source's night)."""
    return hour % 24 <= 6


def total_between(buckets: Buckets, first: int, last: int) -> tuple[int, int]:
    """Sum the counts and the sums of the buckets from ``first`` to ``last``, both included."""
    count = total = 0
    for bucket, (bucket_count, bucket_total) in buckets.items():
        if first <= bucket <= last:
            count += bucket_count
            total += bucket_total
    return count, total


def card_history_30d(card: CardProfile, transaction: Transaction) -> tuple[int, int]:
    """Return count and sum (minor units) of the card's 30 days before this transaction, itself not included."""
    day = transaction.occurred_at // SECONDS_PER_DAY
    return total_between(card.days, day - 29, day)


def add_to_card(card: CardProfile, transaction: Transaction) -> CardProfile:
    """Return the card's profile with this transaction in it and without what has left the horizon."""
    movement = Movement(transaction.occurred_at, transaction.latitude, transaction.longitude)
    amount = transaction.amount_minor
    return CardProfile(
        hours=_added(card.hours, transaction.occurred_at // SECONDS_PER_HOUR, 1, amount, CARD_HOURS_KEPT),
        days=_added(card.days, transaction.occurred_at // SECONDS_PER_DAY, 1, amount, CARD_DAYS_KEPT),
        movements=tuple(sorted((*card.movements, movement))[-MOVEMENTS_KEPT:]),
    )


def add_to_terminal(terminal: TerminalProfile, transaction: Transaction) -> TerminalProfile:
    """Return the terminal's profile with this transaction counted on its UTC day."""
    day = transaction.occurred_at // SECONDS_PER_DAY
    return TerminalProfile(_added(terminal.days, day, 1, 0, TERMINAL_DAYS_KEPT))


def add_known_fraud(terminal: TerminalProfile, occurred_at: int) -> TerminalProfile:
    """Return the terminal's profile with one more known fraud on the day of ``occurred_at``.

    The transaction itself was counted when it happened; this is the label that arrives later. A label for a day
    that is no longer kept changes nothing.
    """
    return TerminalProfile(_added(terminal.days, occurred_at // SECONDS_PER_DAY, 0, 1, TERMINAL_DAYS_KEPT))


def _added(buckets: Buckets, bucket: int, count: int, amount: int, kept: int) -> Buckets:
    """Add to one bucket; of the result only the ``kept`` newest positions on the time axis stay."""
    old_count, old_total = buckets.get(bucket, (0, 0))
    added = {**buckets, bucket: (old_count + count, old_total + amount)}
    oldest = max(added) - kept + 1
    if min(added) >= oldest:
        return added
    return {position: totals for position, totals in added.items() if position >= oldest}


def card_to_dict(card: CardProfile) -> CardProfileItem:
    """Return the profile as plain lists in order of time; ``card_from_dict`` reverses it exactly."""
    return {
        "hours": _bucket_rows(card.hours),
        "days": _bucket_rows(card.days),
        "movements": [list(movement) for movement in card.movements],
    }


def card_from_dict(item: CardProfileItem) -> CardProfile:
    """Rebuild a profile from ``card_to_dict``; KeyError, TypeError or ValueError where it is not one."""
    return CardProfile(
        hours=_buckets(item["hours"]),
        days=_buckets(item["days"]),
        movements=tuple(
            Movement(int(occurred_at), latitude, longitude) for occurred_at, latitude, longitude in item["movements"]
        ),
    )


def terminal_to_dict(terminal: TerminalProfile) -> TerminalProfileItem:
    """Return the profile as plain lists in order of time; ``terminal_from_dict`` reverses it exactly."""
    return {"days": _bucket_rows(terminal.days)}


def terminal_from_dict(item: TerminalProfileItem) -> TerminalProfile:
    """Rebuild a profile from ``terminal_to_dict``; KeyError, TypeError or ValueError where it is not one."""
    return TerminalProfile(_buckets(item["days"]))


def _bucket_rows(buckets: Buckets) -> list[list[int]]:
    return [[bucket, *buckets[bucket]] for bucket in sorted(buckets)]


def _buckets(rows: list[list[int]]) -> Buckets:
    return {bucket: (count, total) for bucket, count, total in rows}
