"""Evidence for an investigation: what a transaction is like beside its card's, its terminal's and its customer's past.

All of it is about the session's customer's own transaction. Of a terminal it tells how much was flagged and what came
of it, other customers' payments included: numbers only, nobody's name.

Whoever looks back may use all that is known by now. The fraud model may not: it was trained with labels that are seven
days old (score_transactions/features.py), so what was confirmed this week is news to it.
Knows no AWS: where transactions, counters and cases are kept is an argument.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from backbone.cases import Case
from card_tools import Cards, own_card, state_of
from tool_answers import ToolAnswer, counted, done, money
from tool_session import Session
from transaction_tools import ScoredTransaction, Transactions, no_such_transaction, own_transaction

CARD_DAYS = 30
TERMINAL_DAYS = 28
RECENT_DAYS = 7
FLAGGED_DAYS = 14
CASE_DAYS = 180
_SECONDS_PER_HOUR, _SECONDS_PER_DAY = 3_600, 86_400
_INCOMPLETE = "There were more transactions than could be looked through; some may be missing here."

type Label = Literal["fraud", "genuine"]
type Buckets = Mapping[int, tuple[int, int]]
"""UTC day since the epoch to two whole numbers."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """A flagged transaction; ``occurred_at`` in epoch seconds, ``label`` what a case found it to be, None before."""

    transaction_id: str
    card_id: str
    occurred_at: int
    label: Label | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment with a card; ``occurred_at`` in epoch seconds, ``label`` as in ``Flagged``."""

    transaction_id: str
    card_id: str
    amount_minor: int
    occurred_at: int
    flagged: bool
    label: Label | None


class History(Protocol):
    """Transactions that were scored, from ``first`` to ``last`` (epoch seconds), both included; whether that is all.

    Each raises Retryable where it cannot now.
    """

    def payments(self, customer_id: str, card_id: str, first: float, last: float) -> tuple[Sequence[Payment], bool]: ...

    def flagged_at(self, terminal_id: str, first: float, last: float) -> tuple[Sequence[Flagged], bool]: ...


class Counters(Protocol):
    """What is counted by day; nothing where nothing is known. Each raises Retryable where it cannot now."""

    def card_days(self, card_id: str) -> Buckets:
        """Payments and their sum (minor units)."""

    def terminal_days(self, terminal_id: str) -> Buckets:
        """Payments, and how many of them are known to be frauds."""


class PastCases(Protocol):
    """A customer's cases. Raises Retryable."""

    def of(self, customer_id: str) -> Sequence[Case]: ...


# ---- the card


def review_card(
    session: Session,
    transaction_id: str,
    *,
    transactions: Transactions,
    history: History,
    counters: Counters,
    cards: Cards,
) -> ToolAnswer:
    """How the transaction compares with the card's others, what was flagged of those, whether the card is blocked."""
    about = own_transaction(transaction_id, session, transactions)
    if about is None:
        return no_such_transaction(transaction_id, session)
    first, last = about.occurred_at - CARD_DAYS * _SECONDS_PER_DAY, about.occurred_at + _SECONDS_PER_DAY
    found, is_complete = history.payments(session.customer_id, about.card_id, first, last)
    others = [one for one in found if one.transaction_id != about.transaction_id]
    before = [one for one in others if one.occurred_at <= about.occurred_at]
    count, total = _usual(about, before, counters.card_days(about.card_id))
    flagged = _in_flagged_days(about, (one for one in before if one.flagged))
    facts = [
        *_beside_usual(about, count, total),
        _highest(about, before),
        _around(about, others),
        f"{_before(about)} {_flagged_of_card(flagged)}",
    ]
    card = own_card(about.card_id, session, cards)
    if card is not None:
        facts.append(state_of(card, session))
    if not is_complete:
        facts.append(_INCOMPLETE)
    data = {
        "transactionId": about.transaction_id,
        "otherPayments": count,
        "otherPaymentsSumMinor": total,
        "flaggedOthers": _outcomes(flagged),
    }
    return done(facts, data)


def _usual(about: ScoredTransaction, before: Sequence[Payment], days: Buckets) -> tuple[int, int]:
    """Count and sum (minor units) of the card's other payments in the 30 days up to ``about``.

    The card's counters reach back to before the rows were kept, and beyond their expiry; they count this transaction
    too. A card without counters has its rows.
    """
    day = about.occurred_at // _SECONDS_PER_DAY
    counted_payments, counted_sum = _between(days, day - CARD_DAYS + 1, day)
    by_row = (len(before), sum(one.amount_minor for one in before))
    return max((counted_payments - 1, counted_sum - about.amount_minor), by_row)


def _beside_usual(about: ScoredTransaction, count: int, total: int) -> list[str]:
    period = f"{_up_to(about, CARD_DAYS)} card {about.card_id} made"
    if count <= 0 or total <= 0:
        return [f"{period} no other payment."]
    amount, mean = (money(minor, about.currency) for minor in (about.amount_minor, round(total / count)))
    times = about.amount_minor * count / total
    return [
        f"{period} {counted(count, 'other payment')} of {mean} on average.",
        f"The {amount} of {about.transaction_id} is {times:.1f} times that average.",
    ]


def _highest(about: ScoredTransaction, before: Sequence[Payment]) -> str:
    if not before:
        return "No other payment of those days is on record one by one."
    highest = money(max(one.amount_minor for one in before), about.currency)
    return f"The highest of the {counted(len(before), 'other payment')} on record from those days was {highest}."


def _around(about: ScoredTransaction, others: Sequence[Payment]) -> str:
    apart = [abs(one.occurred_at - about.occurred_at) for one in others]
    hour, day = (sum(one <= seconds for one in apart) for seconds in (_SECONDS_PER_HOUR, _SECONDS_PER_DAY))
    within_an_hour = counted(hour, "other payment")
    return f"Within an hour of {about.transaction_id} the card made {within_an_hour}, within a day {day:,}."


def _flagged_of_card(flagged: Sequence[Payment]) -> str:
    if not flagged:
        return "no other transaction of the card was flagged."
    return f"{_how_many_flagged(flagged, 'of the card')}: {_turned_out(flagged)}."


# ---- the terminal


def review_terminal(
    session: Session, transaction_id: str, *, transactions: Transactions, history: History, counters: Counters
) -> ToolAnswer:
    """Payments and known frauds at the transaction's terminal, and what came of what else was flagged there."""
    about = own_transaction(transaction_id, session, transactions)
    if about is None:
        return no_such_transaction(transaction_id, session)
    days, day = counters.terminal_days(about.terminal_id), about.occurred_at // _SECONDS_PER_DAY
    # The counters count this transaction too.
    payments, frauds = _between(days, day - TERMINAL_DAYS + 1, day)
    recent_payments, recent_frauds = _between(days, day - RECENT_DAYS + 1, day)
    first = about.occurred_at - FLAGGED_DAYS * _SECONDS_PER_DAY
    found, is_complete = history.flagged_at(about.terminal_id, first, about.occurred_at)
    flagged = [one for one in found if one.transaction_id != about.transaction_id]
    facts = [
        f"{_up_to(about, TERMINAL_DAYS)} terminal {about.terminal_id} had {_known_frauds(payments - 1, frauds)}.",
        f"In the last {RECENT_DAYS} of those days it had {_known_frauds(recent_payments - 1, recent_frauds)}.",
        f"{_before(about)} {_flagged_at_terminal(flagged)}",
        *_newest_decided(about, flagged),
    ]
    if not is_complete:
        facts.append(_INCOMPLETE)
    data = {
        "transactionId": about.transaction_id,
        "terminalId": about.terminal_id,
        "otherPayments": max(payments - 1, 0),
        "knownFrauds": frauds,
        "flaggedOthers": _outcomes(flagged),
    }
    return done(facts, data)


def _known_frauds(payments: int, frauds: int) -> str:
    known = f"{frauds:,} {'is' if frauds == 1 else 'are'} known to be fraud"
    return f"{counted(max(payments, 0), 'other payment')}, of which {known}"


def _flagged_at_terminal(flagged: Sequence[Flagged]) -> str:
    if not flagged:
        return "no other transaction at the terminal was flagged."
    cards = counted(len({one.card_id for one in flagged}), "card")
    return f"{_how_many_flagged(flagged, 'at the terminal')}, with {cards}: {_turned_out(flagged)}."


def _newest_decided(about: ScoredTransaction, flagged: Sequence[Flagged]) -> list[str]:
    decided = [one for one in flagged if one.label is not None]
    if not decided:
        return []
    newest = max(decided, key=lambda one: (one.occurred_at, one.transaction_id))
    days = (about.occurred_at - newest.occurred_at) / _SECONDS_PER_DAY
    return [f"The newest of them that was decided, {days:.1f} days before it, turned out to be {newest.label}."]


# ---- the customer's cases


def review_past_cases(session: Session, *, cases: PastCases, now: float) -> ToolAnswer:
    """The customer's cases that were closed lately, by outcome, and those that are open; never the session's own."""
    known = [case for case in cases.of(session.customer_id) if case.case_id != session.case_id]
    is_open = sum(case.status == "open" for case in known)
    since = now - CASE_DAYS * _SECONDS_PER_DAY
    outcomes = Counter(
        case.outcome for case in known if case.closed_at is not None and _seconds(case.closed_at) >= since
    )
    confirmed, genuine, unresolved = (outcomes[one] for one in ("confirmed_fraud", "genuine", "unresolved"))
    closed = confirmed + genuine + unresolved
    outcome = f"{confirmed} as confirmed fraud, {genuine} as genuine, {unresolved} unresolved"
    facts = [
        f"In the last {CASE_DAYS} days {counted(closed, 'case')} of the customer {_were(closed)} closed: {outcome}."
        if closed
        else f"In the last {CASE_DAYS} days no case of the customer was closed.",
        f"{counted(is_open, 'other case')} of the customer {'is' if is_open == 1 else 'are'} open.",
    ]
    data = {"closed": {"confirmed_fraud": confirmed, "genuine": genuine, "unresolved": unresolved}, "open": is_open}
    return done(facts, data)


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


# ---- words and sums that they share


def _between(days: Buckets, first: int, last: int) -> tuple[int, int]:
    """The sums of both numbers from day ``first`` to ``last``, both included."""
    within = [both for day, both in days.items() if first <= day <= last]
    return sum(one for one, _ in within), sum(other for _, other in within)


def _up_to(about: ScoredTransaction, days: int) -> str:
    return f"In the {days} days up to transaction {about.transaction_id},"


def _before(about: ScoredTransaction) -> str:
    return f"In the {FLAGGED_DAYS} days before {about.transaction_id},"


def _in_flagged_days(about: ScoredTransaction, payments: Iterable[Payment]) -> list[Payment]:
    first = about.occurred_at - FLAGGED_DAYS * _SECONDS_PER_DAY
    return [one for one in payments if one.occurred_at >= first]


def _how_many_flagged(flagged: Sequence[Flagged | Payment], where: str) -> str:
    return f"{counted(len(flagged), 'other transaction')} {where} {_were(len(flagged))} flagged"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _turned_out(flagged: Sequence[Flagged | Payment]) -> str:
    outcomes = _outcomes(flagged)
    return (
        f"{outcomes['fraud']} turned out to be fraud, {outcomes['genuine']} genuine, {outcomes['undecided']} undecided"
    )


def _outcomes(flagged: Sequence[Flagged | Payment]) -> dict[str, Any]:
    labels = Counter(one.label for one in flagged)
    return {"fraud": labels["fraud"], "genuine": labels["genuine"], "undecided": labels[None]}
