"""Transactions: the newest ones, and why one was flagged.

Knows no AWS: where transactions and cards are kept is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backbone import contracts
from card_tools import Cards, no_such_card, own_card, state_of
from tool_answers import ToolAnswer, counted, done, moment, money, refused
from tool_session import Session

LISTED = 20
DEFAULT_DAYS = 7
# As long as a row lives by default (template parameter TransactionRetentionDays).
EXPLAINED_DAYS = 90
_SECONDS_PER_DAY = 86_400
# What a driver of the score is called; in the order of functions/score_transactions/features.py.
_AMOUNTS = {
    "amount": "the amount",
    "card_mean_amount_1d": "the card's mean amount of a day",
    "card_mean_amount_7d": "the card's mean amount of 7 days",
    "card_mean_amount_30d": "the card's mean amount of 30 days",
}
_COUNTS = {
    "card_count_1d": "the number of payments with the card in a day",
    "card_count_7d": "the number of payments with the card in 7 days",
    "card_count_30d": "the number of payments with the card in 30 days",
    "terminal_count_1d": "the number of payments at the terminal in a day",
    "terminal_count_7d": "the number of payments at the terminal in 7 days",
    "terminal_count_30d": "the number of payments at the terminal in 30 days",
}
_SHARES = {
    "terminal_risk_1d": "the share of known frauds at the terminal in a day",
    "terminal_risk_7d": "the share of known frauds at the terminal in 7 days",
    "terminal_risk_30d": "the share of known frauds at the terminal in 30 days",
}
_TIMES = {"is_weekend": "that it was on a weekend", "is_night": "that it was at night"}


@dataclass(frozen=True, slots=True)
class Driver:
    """A feature that drove the score up: its value, and what is typical."""

    feature: str
    value: float
    reference: float


@dataclass(frozen=True, slots=True)
class ScoredTransaction:
    """A transaction as scoring left it; ``occurred_at`` in epoch seconds, ``score`` 0..1, ``reasons`` sentences."""

    transaction_id: str
    card_id: str
    customer_id: str
    terminal_id: str
    amount_minor: int
    currency: str
    occurred_at: int
    score: float
    flagged: bool
    severity: str
    reasons: tuple[tuple[str, str], ...]
    drivers: tuple[Driver, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The newest transactions, newest first. ``more``: there are others; ``is_complete``: all could be looked at."""

    transactions: Sequence[ScoredTransaction]
    more: bool
    is_complete: bool


class Transactions(Protocol):
    """Scored transactions. Each raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> ScoredTransaction | None: ...

    def newest(
        self, customer_id: str, since: float, at_most: int, *, card_id: str | None = None, only_flagged: bool = False
    ) -> Found: ...


def list_transactions(
    session: Session,
    card_id: str | None,
    days: int,
    only_flagged: bool,
    *,
    transactions: Transactions,
    cards: Cards,
    now: float,
) -> ToolAnswer:
    """The customer's newest transactions of the last ``days``; of one card, or flagged ones, where that is asked."""
    if card_id is not None and own_card(card_id, session, cards) is None:
        return no_such_card(card_id, session)
    found = transactions.newest(
        session.customer_id, now - days * _SECONDS_PER_DAY, LISTED, card_id=card_id, only_flagged=only_flagged
    )
    facts = [_how_many(found, card_id, days, only_flagged, session), *map(_listed, found.transactions)]
    if not found.is_complete:
        facts.append("There were too many transactions to look through; older ones may be missing here.")
    return done(facts, {"transactions": [_view(one) for one in found.transactions]})


def explain_flag(
    session: Session, transaction_id: str | None, *, transactions: Transactions, cards: Cards, now: float
) -> ToolAnswer:
    """Why a transaction was flagged, or that it was not; the newest flagged one where none is named."""
    if transaction_id is None:
        since = now - EXPLAINED_DAYS * _SECONDS_PER_DAY
        found = transactions.newest(session.customer_id, since, 1, only_flagged=True)
        if not found.transactions:
            none = f"None of {session.whose} transactions of the last {EXPLAINED_DAYS} days was flagged as suspicious."
            return done([none], {"transactions": []})
        transaction = found.transactions[0]
    else:
        known = own_transaction(transaction_id, session, transactions)
        if known is None:
            return no_such_transaction(transaction_id, session)
        transaction = known
    facts = _why(transaction) if transaction.flagged else [_not_flagged(transaction)]
    card = own_card(transaction.card_id, session, cards)
    if card is not None:
        facts.append(state_of(card, session))
    return done(facts, {"transactions": [_view(transaction) | _explanation(transaction)]})


def own_transaction(transaction_id: str, session: Session, transactions: Transactions) -> ScoredTransaction | None:
    """The transaction, where it is the session's customer's; a foreign one is as if it were not there."""
    known = transactions.get(transaction_id)
    return known if known is not None and known.customer_id == session.customer_id else None


def no_such_transaction(transaction_id: str, session: Session) -> ToolAnswer:
    """The one refusal for a transaction that is not there and for one that is somebody else's."""
    theirs = "yours" if session.whose == "your" else "this customer's"
    return refused(f"There is no transaction {transaction_id} of {theirs}.")


def _how_many(found: Found, card_id: str | None, days: int, only_flagged: bool, session: Session) -> str:
    kind = "flagged transaction" if only_flagged else "transaction"
    where = f" with {card_id}" if card_id else ""
    period = "day" if days == 1 else f"{days} days"
    if not found.transactions:
        return f"There is no {kind}{where} of {session.whose} cards in the last {period}."
    count = len(found.transactions)
    if found.more:
        return f"These are the newest {count} of {session.whose} {kind}s{where} in the last {period}; there are more."
    flagged = sum(one.flagged for one in found.transactions)
    verb = "was" if count == 1 else "were"
    suspicious = "" if only_flagged else f"; {flagged} of them flagged as suspicious"
    return f"There {verb} {counted(count, kind)}{where} in the last {period}{suspicious}."


def _about(one: ScoredTransaction) -> str:
    return (
        f"Transaction {one.transaction_id} of {money(one.amount_minor, one.currency)} with {one.card_id} at terminal "
        f"{one.terminal_id} on {moment(one.occurred_at)}"
    )


def _listed(one: ScoredTransaction) -> str:
    return f"{_about(one)} was {f'flagged with severity {one.severity}' if one.flagged else 'not flagged'}."


def _why(one: ScoredTransaction) -> list[str]:
    reasons = " ".join(explanation for _, explanation in one.reasons)
    facts = [
        f"{_about(one)} was flagged with severity {one.severity}: {reasons}",
        f"The fraud model's score of {one.transaction_id} is {one.score:.3f}; 0 is usual, 1 is almost surely fraud.",
    ]
    if one.drivers:
        drivers = ", ".join(_driver(driver, one.currency) for driver in one.drivers)
        facts.append(f"What raised the score most: {drivers}.")
    return facts


def _not_flagged(one: ScoredTransaction) -> str:
    return f"{_about(one)} was not flagged; the fraud model's score is {one.score:.3f}, where 0 is usual."


def _driver(driver: Driver, currency: str) -> str:
    name = driver.feature
    if name in _TIMES:
        return _TIMES[name]
    if name in _AMOUNTS:
        value, typical = (money(round(number), currency) for number in (driver.value, driver.reference))
        return f"{_AMOUNTS[name]}, {value} (typical: {typical})"
    if name in _SHARES:
        return f"{_SHARES[name]}, {driver.value:.0%} (typical: {driver.reference:.0%})"
    # A newer model may have features that have no words yet: their own name is better than none.
    return f"{_COUNTS.get(name, name.replace('_', ' '))}, {driver.value:g} (typical: {driver.reference:g})"


def _view(one: ScoredTransaction) -> dict[str, Any]:
    return {
        "transactionId": one.transaction_id,
        "cardId": one.card_id,
        "terminalId": one.terminal_id,
        "amountMinor": one.amount_minor,
        "currency": one.currency,
        "occurredAt": contracts.timestamp(one.occurred_at),
        "flagged": one.flagged,
        "severity": one.severity,
        "score": round(one.score, 6),
    }


def _explanation(one: ScoredTransaction) -> dict[str, Any]:
    return {
        "reasons": [{"code": code, "explanation": explanation} for code, explanation in one.reasons],
        "drivers": [
            {"feature": driver.feature, "value": driver.value, "reference": driver.reference} for driver in one.drivers
        ],
    }
