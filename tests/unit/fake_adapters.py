"""The domain's collaborators in memory. ``FakeStore`` passes the real one's contract (test_transaction_store).

Each takes ``faults``, called with the operation's name before and after it has done its work: what that raises is what
the caller sees, so a test can let a service be away, or lose an answer after the work was done.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backbone.contracts import Event
from backbone.errors import Retryable
from features import CardProfile, TerminalProfile, add_to_terminal
from scoring import Decision, KnownTransaction
from stream_records import Refusal

type Faults = Callable[[str], None]


def no_faults(_: str) -> None:
    """Nothing goes wrong."""


@dataclass
class FakeKnown:
    """What the fake store answers to ``load``."""

    cards: dict[str, CardProfile]
    terminals: dict[str, TerminalProfile]
    transactions: dict[str, KnownTransaction]
    versions: dict[str, int]


@dataclass
class FakeStore:
    """Profiles and rows in dictionaries; ``decisions`` keeps what each row was made from."""

    faults: Faults = no_faults
    cards: dict[str, CardProfile] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    terminals: dict[str, TerminalProfile] = field(default_factory=dict)
    transactions: dict[str, KnownTransaction] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)

    def load(self, card_ids: Iterable[str], terminal_ids: Iterable[str], transaction_ids: Iterable[str]) -> FakeKnown:
        self.faults("load")
        cards = set(card_ids)
        return FakeKnown(
            _only(self.cards, cards),
            _only(self.terminals, terminal_ids),
            _only(self.transactions, transaction_ids),
            _only(self.versions, cards),
        )

    def commit(self, known: FakeKnown, decisions: Sequence[Decision], now: float) -> None:  # noqa: ARG002 - protocol
        self.faults("before commit")
        cards = {decision.transaction.card_id: decision.card_after for decision in decisions}
        if any(decision.transaction.transaction_id in self.transactions for decision in decisions):
            raise Retryable("a row exists already")
        if any(known.versions.get(card, 0) != self.versions.get(card, 0) for card in cards):
            raise Retryable("a card's profile was written by another")
        for decision in decisions:
            transaction = decision.transaction
            detail = json.dumps(decision.event.detail()) if decision.event else None
            self.transactions[transaction.transaction_id] = KnownTransaction(decision.received.digest, detail, False)
            self.decisions[transaction.transaction_id] = decision
            terminal = self.terminals.get(transaction.terminal_id, TerminalProfile())
            self.terminals[transaction.terminal_id] = add_to_terminal(terminal, transaction)
        for card, profile in cards.items():
            self.cards[card] = profile
            self.versions[card] = known.versions[card] = self.versions.get(card, 0) + 1
        self.faults("after commit")

    def mark_published(self, transaction_id: str, now: float) -> None:  # noqa: ARG002 - protocol
        self.faults("mark_published")
        if transaction_id not in self.transactions:
            raise Retryable("no such row")
        self.transactions[transaction_id] = replace(self.transactions[transaction_id], is_published=True)


@dataclass
class FakeBus:
    """Keeps what was published, in order. ``refuses`` says which events are not taken."""

    refuses: Callable[[Event], bool] = lambda _: False
    faults: Faults = no_faults
    published: list[Event] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> dict[str, str]:
        self.faults("publish")
        refused = [event for event in events if self.refuses(event)]
        self.published += [event for event in events if event not in refused]
        return {event.metadata.event_id: "ThrottlingException: " for event in refused}


@dataclass
class FakeQuarantine:
    """Keeps what was refused, in order. ``refuses`` says which records are not taken."""

    refuses: Callable[[Refusal], bool] = lambda _: False
    kept: list[Refusal] = field(default_factory=list)

    def put(self, refusals: Sequence[Refusal]) -> dict[str, str]:
        refused = [refusal for refusal in refusals if self.refuses(refusal)]
        self.kept += [refusal for refusal in refusals if refusal not in refused]
        return {refusal.record.event_id: "away" for refusal in refused}


def _only[Value](everything: Mapping[str, Value], wanted: Iterable[str]) -> dict[str, Value]:
    return {key: everything[key] for key in wanted if key in everything}
