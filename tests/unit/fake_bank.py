"""Transactions, cards and cases in memory, as what changes them sees them; passes the real rows' contract.

``interrupt`` runs once, before the next read of a row or before the next conditional write: what happens between one
call of somebody's and their next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from backbone.actions import Action
from backbone.card_blocks import ACTIVE, BLOCKED, Block, Card, Unblock
from backbone.cases import Case
from backbone.transaction_changes import FRAUD, GENUINE, PaidTransaction
from tests.unit.fake_actions import FakeActions


def nothing() -> None:
    """Nobody comes between."""


@dataclass
class FakeApprovedActions(FakeActions):
    """FakeActions, and what carrying out and compensating need of the real ones."""

    results: dict[str, str] = field(default_factory=dict)

    def finish(self, action_id: str, done_at: str, result: str) -> None:  # noqa: ARG002 - the real one's signature
        action = self.rows.get(action_id)
        if action is not None and action.status == "approved":
            self.rows[action_id] = replace(action, status="done", event_to_publish=None)
            self.results[action_id] = result

    def of_card(self, card_id: str) -> Iterator[Action]:
        """ActionRowsByCard's: which they are is asked once, what has become of each as it comes."""
        for action_id in [one.action_id for one in self.rows.values() if one.card_id == card_id and one.is_open]:
            if self.rows[action_id].is_open:
                yield self.rows[action_id]

    def is_approved(self, action_id: str) -> bool:
        action = self.rows.get(action_id)
        return action is not None and action.status == "approved"


@dataclass
class FakeCases:
    rows: dict[str, Case] = field(default_factory=dict)

    def get(self, case_id: str) -> Case | None:
        return self.rows.get(case_id)


@dataclass
class FakeTransactions:
    """TransactionChangeRows."""

    actions: FakeApprovedActions
    rows: dict[str, PaidTransaction] = field(default_factory=dict)
    interrupt: Callable[[], None] = nothing
    at_read: bool = False

    def get(self, transaction_id: str) -> PaidTransaction | None:
        if self.at_read:
            _run_once(self)
        return self.rows.get(transaction_id)

    def write(self, before: PaidTransaction, after: PaidTransaction, action_id: str | None = None) -> bool:
        _run_once(self)
        now = self.rows.get(before.transaction_id)
        if now is None or now.event_to_publish is not None or _telling(now) != _telling(before):
            return False
        if action_id is not None and not self.actions.is_approved(action_id):
            return False
        self.rows[before.transaction_id] = after
        return True

    def note_published(self, transaction_id: str, event_to_publish: str) -> None:
        now = self.rows[transaction_id]
        if now.event_to_publish == event_to_publish:
            self.rows[transaction_id] = replace(now, event_to_publish=None)


@dataclass
class FakeFrauds:
    """StandingFrauds."""

    transactions: FakeTransactions

    def of_card(self, customer_id: str, card_id: str) -> Iterator[str]:
        for paid in self.transactions.rows.values():
            if (paid.customer_id, paid.card_id) == (customer_id, card_id) and paid.stands_as(FRAUD):
                yield paid.transaction_id


@dataclass
class FakeCards:
    """CardBlockRows."""

    actions: FakeApprovedActions
    transactions: FakeTransactions
    rows: dict[str, Card] = field(default_factory=dict)
    interrupt: Callable[[], None] = nothing
    at_read: bool = False

    def get(self, card_id: str) -> Card | None:
        if self.at_read:
            _run_once(self)
        return self.rows.get(card_id)

    def block(self, block: Block) -> bool:
        if not self._is_as_read(block.card, ACTIVE) or not self.actions.is_approved(block.action_id):
            return False
        about = self.transactions.rows.get(block.transaction_id) if block.transaction_id is not None else None
        if about is not None and about.stands_as(GENUINE):
            return False
        self.rows[block.card.card_id] = block.card
        return True

    def unblock(self, unblock: Unblock) -> bool:
        card_id = unblock.card.card_id
        if not self._is_as_read(unblock.card, BLOCKED) or self.rows[card_id].change_id != unblock.action_id:
            return False
        standing = self.transactions.rows[unblock.transaction_id].standing
        if standing is None or standing.case_id != unblock.case_id:
            return False
        self.rows[card_id] = unblock.card
        return True

    def note_published(self, card_id: str, event_to_publish: str) -> None:
        now = self.rows[card_id]
        if now.event_to_publish == event_to_publish:
            self.rows[card_id] = replace(now, event_to_publish=None)

    def _is_as_read(self, after: Card, status: str) -> bool:
        _run_once(self)
        now = self.rows[after.card_id]
        return (now.status, now.version, now.event_to_publish) == (status, after.version - 1, None)


def _run_once(rows: FakeTransactions | FakeCards) -> None:
    interrupt, rows.interrupt = rows.interrupt, nothing
    interrupt()


def _telling(paid: PaidTransaction) -> tuple[object, ...]:
    """What tells one state of a row from another."""
    release, refund, standing = paid.release, paid.refund, paid.standing
    return (
        release and (release.release_id, release.withdrawn_at),
        refund and (refund.refund_id, refund.reversed_at),
        standing and standing.case_id,
    )


def approved_action(action: Action) -> Action:
    """The action once ANNA has approved it and the bus was told."""
    return replace(action, status="approved", decided_by=("anna",), decided_at="2026-01-01T12:05:00.000Z")
