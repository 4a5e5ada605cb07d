"""A bank in memory, as far as an investigation's tools look at it: rows, counters, labels and cases as of a moment.

It knows no more than the bank would: a label comes an hour after its flag, when the case is closed, or, into the
terminals' counters, after the delay with which the fraud model's own labels come (chargebacks).
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from backbone import contracts
from backbone.cases import Case, Outcome
from card_tools import Card
from evidence_tools import Buckets, Flagged, Label, Payment
from features import LABEL_DELAY_DAYS, SECONDS_PER_DAY, CardProfile, TerminalProfile, add_known_fraud, add_to_terminal
from models.fraud.simulate import LabelledTransaction
from transaction import Transaction
from transaction_tools import Driver, Found, ScoredTransaction
from verdict import Verdict

CASE_SECONDS = 3_600
INVESTIGATED = ("medium", "high")  # as the filter of InvestigationsSubscription


@dataclass
class Bank:
    """Moves on by ``take``; answers what the tools ask: transactions, history, counters and cases.

    Where it does not ``learn``, no case is closed and no label comes any more: a stack that was just deployed.
    """

    cards: dict[str, CardProfile]
    terminals: dict[str, TerminalProfile]
    learns: bool = True
    now: int = 0
    _scored: dict[str, ScoredTransaction] = field(default_factory=dict)
    _by_card: dict[str, list[Payment]] = field(default_factory=lambda: defaultdict(list))
    _flagged_at: dict[str, list[Payment]] = field(default_factory=lambda: defaultdict(list))
    _labels: dict[str, Label] = field(default_factory=dict)
    _frauds_found: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _cases: dict[str, list[Case]] = field(default_factory=lambda: defaultdict(list))
    _to_close: list[tuple[int, str, bool]] = field(default_factory=list)

    def take(self, labelled: LabelledTransaction, verdict: Verdict, card_after: CardProfile) -> None:
        """The next transaction, scored; opens a case where it would be investigated."""
        transaction = labelled.transaction
        self.now = transaction.occurred_at
        self._close_cases()
        self.cards[transaction.card_id] = card_after
        self._count(labelled)
        payment = _payment(transaction, verdict)
        self._by_card[transaction.card_id].append(payment)
        if verdict.flagged:
            self._scored[transaction.transaction_id] = _scored(transaction, verdict)
            self._flagged_at[transaction.terminal_id].append(payment)
        if verdict.flagged and verdict.severity in INVESTIGATED:
            self._cases[transaction.customer_id].append(_case(transaction))
            closed = (self.now + CASE_SECONDS, transaction.transaction_id, labelled.is_fraud)
            heapq.heappush(self._to_close, closed)

    # ---- what the tools ask

    def get(self, identity: str) -> ScoredTransaction | None:
        """A flagged transaction; nobody investigates another."""
        return self._scored.get(identity)

    def newest(
        self, customer_id: str, since: float, at_most: int, *, card_id: str | None = None, only_flagged: bool = False
    ) -> Found:
        """No investigation in training lists transactions."""
        raise NotImplementedError(customer_id, since, at_most, card_id, only_flagged)

    def payments(self, _: str, card_id: str, first: float, last: float) -> tuple[Sequence[Payment], bool]:
        """A card's payments; one customer has one card."""
        return list(self._within(self._by_card[card_id], first, last)), True

    def flagged_at(self, terminal_id: str, first: float, last: float) -> tuple[Sequence[Flagged], bool]:
        """What was flagged at a terminal."""
        found = self._within(self._flagged_at[terminal_id], first, last)
        return [Flagged(one.transaction_id, one.card_id, one.occurred_at, one.label) for one in found], True

    def card_days(self, card_id: str) -> Buckets:
        """Payments and their sum by day."""
        return self.cards[card_id].days

    def terminal_days(self, terminal_id: str) -> Buckets:
        """Payments and known frauds by day: all frauds once their labels came, before that those that cases found."""
        known = self.now // SECONDS_PER_DAY - LABEL_DELAY_DAYS
        days = self.terminals[terminal_id].days
        return {
            day: (count, frauds if day <= known else self._frauds_found.get((terminal_id, day), 0))
            for day, (count, frauds) in days.items()
        }

    def of(self, customer_id: str) -> Sequence[Case]:
        """A customer's cases."""
        return self._cases[customer_id]

    def case_about(self, transaction: Transaction) -> Case:
        """The case that a transaction opened."""
        cases = self._cases[transaction.customer_id]
        return next(case for case in cases if case.transaction_id == transaction.transaction_id)

    # ---- how it moves on

    def _close_cases(self) -> None:
        while self.learns and self._to_close and self._to_close[0][0] <= self.now:
            closed_at, transaction_id, is_fraud = heapq.heappop(self._to_close)
            about = self._scored[transaction_id]
            self._labels[transaction_id] = "fraud" if is_fraud else "genuine"
            self._frauds_found[about.terminal_id, about.occurred_at // SECONDS_PER_DAY] += is_fraud
            cases = self._cases[about.customer_id]
            (place,) = [place for place, case in enumerate(cases) if case.transaction_id == transaction_id]
            outcome: Outcome = "confirmed_fraud" if is_fraud else "genuine"
            cases[place] = replace(
                cases[place], status="closed", outcome=outcome, closed_at=contracts.timestamp(closed_at)
            )

    def _count(self, labelled: LabelledTransaction) -> None:
        transaction = labelled.transaction
        terminal = add_to_terminal(self.terminals.get(transaction.terminal_id, TerminalProfile()), transaction)
        if labelled.is_fraud and self.learns:
            terminal = add_known_fraud(terminal, transaction.occurred_at)
        self.terminals[transaction.terminal_id] = terminal

    def _within(self, payments: Sequence[Payment], first: float, last: float) -> Iterator[Payment]:
        for one in payments:
            if first <= one.occurred_at <= last:
                yield replace(one, label=self._labels.get(one.transaction_id))


@dataclass(frozen=True)
class Registry:
    """Cards, all of them active: what an investigation finds before it has done anything."""

    def get(self, card_id: str) -> Card | None:
        """The card, which is its customer's only one."""
        customer = card_id.replace("CARD-", "CUST-")
        return Card(card_id, customer, f"Debit card ending {card_id[-4:]}", "active", 1)

    def of_customer(self, customer_id: str, at_most: int) -> tuple[list[Card], bool]:
        """No investigation in training lists cards."""
        raise NotImplementedError(customer_id, at_most)

    def block(self, card: Card) -> bool:
        """No look-up blocks a card."""
        raise NotImplementedError(card)

    def note_published(self, card: Card) -> None:
        """No look-up publishes."""
        raise NotImplementedError(card)


def _payment(transaction: Transaction, verdict: Verdict) -> Payment:
    return Payment(
        transaction.transaction_id,
        transaction.card_id,
        transaction.amount_minor,
        transaction.occurred_at,
        verdict.flagged,
        None,
    )


def _scored(transaction: Transaction, verdict: Verdict) -> ScoredTransaction:
    """The row as agent_tools reads it."""
    return ScoredTransaction(
        transaction_id=transaction.transaction_id,
        card_id=transaction.card_id,
        customer_id=transaction.customer_id,
        terminal_id=transaction.terminal_id,
        amount_minor=transaction.amount_minor,
        currency=transaction.currency,
        occurred_at=transaction.occurred_at,
        score=round(verdict.score, 6),
        flagged=verdict.flagged,
        severity=verdict.severity,
        reasons=tuple((reason.code, reason.explanation) for reason in verdict.reasons),
        drivers=tuple(Driver(one.feature, one.value, one.reference) for one in verdict.drivers),
    )


def _case(transaction: Transaction) -> Case:
    return Case(
        case_id=contracts.event_id("Investigation", transaction.transaction_id),
        customer_id=transaction.customer_id,
        subject="A flagged transaction",
        kind="investigation",
        status="open",
        opened_by="agent",
        opened_by_role="agent",
        opened_at=contracts.timestamp(transaction.occurred_at),
        correlation_id=transaction.transaction_id,
        transaction_id=transaction.transaction_id,
    )
