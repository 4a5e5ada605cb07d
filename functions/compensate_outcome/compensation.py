"""Undoing what was done about a transaction that turned out to be something else.

    genuine           the block of its card that a case about it led to, and its refund, are taken back
    confirmed_fraud   its release is withdrawn

Which outcome stands: that of the case closed last. It is written onto the transaction's row first, where every change
of the transaction is held to it (``carrying_out``); then what contradicts it is undone, under the condition that it
still stands. So an older case that comes late undoes nothing, one that comes again finds nothing left, and an action
that is carried out after the verdict does nothing. What was undone is not done again by itself when a still later case
says otherwise: that takes another proposal, and another approval.

A card is unblocked only where an approved action blocked it, of a case about a transaction that stands as genuine now,
and while no other transaction of the card stands as fraud. Any other block is none of this module's business.
Knows no AWS: where things are kept is an argument.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

from backbone.actions import Action
from backbone.card_blocks import BLOCKED, Card, Unblock, unblock_of
from backbone.cases import Case
from backbone.contracts import Cause, Event, timestamp
from backbone.errors import Rejected, Retryable
from backbone.outbox import Bus, told
from backbone.transaction_changes import (
    FRAUD,
    GENUINE,
    PaidTransaction,
    Standing,
    Verdict,
    refund_reversed,
    release_withdrawn,
)

type Result = Literal["compensated", "nothing_to_do", "overtaken", "forgotten"]


class Actions(Protocol):
    """Keeps actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def finish(self, action_id: str, done_at: str, result: str) -> None: ...


class Cards(Protocol):
    """The registry. Each raises Retryable where it cannot now."""

    def get(self, card_id: str) -> Card | None: ...
    def unblock(self, unblock: Unblock) -> bool:
        """Writes the end with its event; False, and nothing written, where what it rests on changed meanwhile."""

    def note_published(self, card_id: str, event_to_publish: str) -> None: ...


class Transactions(Protocol):
    """What was done about transactions. Each raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> PaidTransaction | None: ...
    def write(self, before: PaidTransaction, after: PaidTransaction) -> bool:
        """Writes the change with its event; False, and nothing written, where ``before`` no longer stands."""

    def note_published(self, transaction_id: str, event_to_publish: str) -> None: ...


class Frauds(Protocol):
    """A card's transactions that stand as fraud, perhaps a moment behind. Raises Retryable where it cannot now."""

    def of_card(self, customer_id: str, card_id: str) -> Iterator[str]: ...


class Cases(Protocol):
    """Reads cases. Raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What compensating needs: where things are kept, and the bus."""

    actions: Actions
    cards: Cards
    transactions: Transactions
    frauds: Frauds
    cases: Cases
    bus: Bus


def compensate(closed: Event, desk: Desk, cause: Cause) -> Result:
    """Undoes what contradicts ``closed`` (a CaseClosed); ``cause`` is of the events that come of it.

    overtaken: a later case stands. forgotten: the transaction's row has expired, and with it what was done about it.
    Again it changes nothing, and publishes what was not published yet. Raises Rejected where the case's row says
    something else, or case and transaction are not one customer's; Retryable as its collaborators.
    """
    transaction_id = closed.data.get("transactionId")
    if transaction_id is None or closed.data["outcome"] not in (FRAUD, GENUINE):
        return "nothing_to_do"
    _require_that_it_was_closed_so(closed, desk.cases)
    paid = desk.transactions.get(transaction_id)
    if paid is None:
        return "forgotten"
    if paid.customer_id != closed.data["customerId"]:
        raise Rejected(f"case {closed.data['caseId']} and transaction {transaction_id} are not one customer's")
    settled = _settled(told(paid, transaction_id, desk.transactions, desk.bus), closed, desk.transactions)
    # Read after that was written: from then on nobody blocks it for what this contradicts.
    card = _own_card(paid, desk)
    if settled is None:
        return "overtaken"
    if settled.stands_as(FRAUD):
        undone = _withdraw_release(settled, desk, cause)
    else:
        # Both, whatever the first one finds.
        undone = any([_reverse_refund(settled, desk, cause), _unblock(card, settled, desk, cause)])
    return "compensated" if undone else "nothing_to_do"


def _require_that_it_was_closed_so(closed: Event, cases: Cases) -> None:
    """An event that ``close_case`` did not make moves nobody's money."""
    data = closed.data
    case = cases.get(data["caseId"])
    said = (data["outcome"], data["transactionId"], data["customerId"], data["closedAt"])
    if case is None or said != (case.outcome, case.transaction_id, case.customer_id, case.closed_at):
        raise Rejected(f"case {data['caseId']} was not closed as the event says")


def _settled(paid: PaidTransaction, closed: Event, transactions: Transactions) -> PaidTransaction | None:
    """The transaction with what ``closed`` says standing; None where a later case stands."""
    data, before = closed.data, paid.standing
    standing = Standing(cast(Verdict, data["outcome"]), data["caseId"], data["closedAt"])
    if before is not None and before.case_id == standing.case_id:
        return paid
    if before is not None and not standing.is_later_than(before):
        return None
    settled = replace(paid, standing=standing)
    if not transactions.write(paid, settled):
        raise Retryable(f"{paid.transaction_id} was changed by somebody else meanwhile")
    return settled


def _withdraw_release(paid: PaidTransaction, desk: Desk, cause: Cause) -> bool:
    if paid.release is None or not paid.is_released:
        return False
    # So that an approval of it which comes again later finds it carried out, and does not do it anew.
    desk.actions.finish(paid.release.release_id, timestamp(cause.now), "done")
    _change(paid, release_withdrawn(paid, _case_of(paid), cause), desk)
    return True


def _reverse_refund(paid: PaidTransaction, desk: Desk, cause: Cause) -> bool:
    if paid.refund is None or not paid.is_refunded:
        return False
    desk.actions.finish(paid.refund.refund_id, timestamp(cause.now), "done")
    _change(paid, refund_reversed(paid, _case_of(paid), cause), desk)
    return True


def _own_card(paid: PaidTransaction, desk: Desk) -> Card | None:
    """The card that paid, whose events are out - whatever stands now: an end may be left that was not told."""
    card = desk.cards.get(paid.card_id)
    if card is None or card.customer_id != paid.customer_id:
        return None
    return told(card, card.card_id, desk.cards, desk.bus)


def _unblock(card: Card | None, paid: PaidTransaction, desk: Desk, cause: Cause) -> bool:
    action_id = None if card is None else _unjustified_block(card, paid, desk)
    if card is None or action_id is None:
        return False
    desk.actions.finish(action_id, timestamp(cause.now), "done")
    unblock = unblock_of(card, action_id, paid.transaction_id, _case_of(paid), cause)
    if not desk.cards.unblock(unblock):
        raise Retryable(f"{card.card_id}, or what stands, was changed by somebody else meanwhile")
    told(unblock.card, card.card_id, desk.cards, desk.bus)
    return True


def _unjustified_block(card: Card, paid: PaidTransaction, desk: Desk) -> str | None:
    """The action that blocked the card for what is genuine now, while nothing else speaks for the block; or None."""
    if card.status != BLOCKED or card.change_id is None:
        return None
    action = desk.actions.get(card.change_id)
    if action is None or action.action != "block_card" or action.case_id is None:
        return None
    case = desk.cases.get(action.case_id)
    if case is None or case.transaction_id is None or not _is_genuine(case.transaction_id, paid, desk):
        return None
    frauds = desk.frauds.of_card(paid.customer_id, card.card_id)
    return None if any(_is_still_fraud(found, desk) for found in frauds) else action.action_id


def _is_still_fraud(transaction_id: str, desk: Desk) -> bool:
    """As of now: the index that it was found by may be a moment behind."""
    found = desk.transactions.get(transaction_id)
    return found is not None and found.stands_as(FRAUD)


def _is_genuine(transaction_id: str, paid: PaidTransaction, desk: Desk) -> bool:
    """Whether it stands as genuine: ``paid`` itself, or another whose block was kept because of ``paid``."""
    if transaction_id == paid.transaction_id:
        return True
    other = desk.transactions.get(transaction_id)
    return other is not None and other.stands_as(GENUINE)


def _case_of(paid: PaidTransaction) -> str:
    """The case that stands."""
    if paid.standing is None:
        raise ValueError(f"nothing stands for {paid.transaction_id}")
    return paid.standing.case_id


def _change(before: PaidTransaction, after: PaidTransaction, desk: Desk) -> None:
    if not desk.transactions.write(before, after):
        raise Retryable(f"{before.transaction_id} was changed by somebody else meanwhile")
    told(after, after.transaction_id, desk.transactions, desk.bus)
