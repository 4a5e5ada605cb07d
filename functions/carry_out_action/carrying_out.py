"""Carrying out an approved action, once: blocking a card, paying a transaction back, letting a flagged one go.

The event says which action; what is done stands in the action's row, which is also where the approval must stand: an
ActionApproved that no row knows of does nothing.

Cases close while approvals are under way. So what is done is held to what stands (``compensate_outcome`` keeps it on
the transaction's row): no block for a transaction that stands as genuine, no refund of one, no release of a fraud. Such
an action is carried out as nothing to do. Both look at the same row and write under its conditions, so that of an
action and a verdict that contradicts it one always sees the other: either the verdict undoes the action, or the action
does nothing. Knows no AWS: where things are kept is an argument.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from backbone.actions import Action, Occasion, rejected
from backbone.card_blocks import ACTIVE, Block, Card, block_of
from backbone.cases import Case
from backbone.contracts import Cause, Event, timestamp
from backbone.errors import Rejected, Retryable
from backbone.outbox import Bus, publish_kept, told
from backbone.transaction_changes import FRAUD, GENUINE, PaidTransaction, refunded, released

type Result = Literal["done", "nothing_to_do"]


class Actions(Protocol):
    """Keeps actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def of_card(self, card_id: str) -> Iterator[Action]:
        """Those about a card that wait for a decision; one of this second may be missing."""

    def close(self, before: Action, after: Action) -> bool: ...
    def finish(self, action_id: str, done_at: str, result: str) -> None: ...
    def note_published(self, action_id: str, event_to_publish: str) -> None: ...


class Cards(Protocol):
    """The registry. Each raises Retryable where it cannot now."""

    def get(self, card_id: str) -> Card | None: ...
    def block(self, block: Block) -> bool:
        """Writes the block with its event; False, and nothing written, where what it rests on changed meanwhile."""

    def note_published(self, card_id: str, event_to_publish: str) -> None: ...


class Transactions(Protocol):
    """What was done about transactions. Each raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> PaidTransaction | None: ...
    def write(self, before: PaidTransaction, after: PaidTransaction, action_id: str | None = None) -> bool:
        """Writes the change with its event; False, and nothing written, where what it rests on changed meanwhile."""

    def note_published(self, transaction_id: str, event_to_publish: str) -> None: ...


class Cases(Protocol):
    """Reads cases. Raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What carrying out needs: where things are kept, and the bus."""

    actions: Actions
    cards: Cards
    transactions: Transactions
    cases: Cases
    bus: Bus


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of an action; ``is_in_force``: what it asks for is so now, whoever did it."""

    result: Result
    is_in_force: bool


# The end of an action that contradicts what its transaction turned out to be.
_OVERRULED = Carried("nothing_to_do", is_in_force=False)
_DONE_BY_ANOTHER = Carried("nothing_to_do", is_in_force=True)
_DONE = Carried("done", is_in_force=True)


def carry_out(approval: Event, desk: Desk, cause: Cause) -> Result:
    """Does what ``approval`` (an ActionApproved) allows; ``cause`` is of the events that come of it.

    nothing_to_do: it was done before by another action, or contradicts what stands. Again it changes nothing, and
    publishes what was not published yet. Raises Rejected where the row knows of no such approval, where what it is
    about is not there, or there is no way to do it; Retryable as its collaborators.
    """
    action = _approved_action(approval, desk.actions)
    if action.status == "done":
        return "done"
    carried = _STEPS[action.action](action, desk, cause)
    if carried.is_in_force:
        because = Occasion(
            now=cause.now,
            producer=cause.producer,
            traceparent=cause.traceparent,
            causation_id=cause.causation_id,
            causation_depth=approval.metadata.causation_depth,
        )
        _close_others(action, desk, because)
    desk.actions.finish(action.action_id, timestamp(cause.now), carried.result)
    return carried.result


def _approved_action(approval: Event, actions: Actions) -> Action:
    data = approval.data
    action = actions.get(data["actionId"])
    if action is None or action.status not in ("approved", "done"):
        raise Rejected(f"action {data['actionId']}: no approval stands on its row")
    said = (data["action"], data["customerId"], data.get("cardId"), data.get("transactionId"), tuple(data["decidedBy"]))
    if said != (action.action, action.customer_id, action.card_id, action.transaction_id, action.decided_by):
        raise Rejected(f"action {action.action_id}: the event says something else than its row")
    if action.action not in _STEPS:
        raise Rejected(f"action {action.action_id}: nobody here can {action.action}")
    return action


# ---- cards


def _block(action: Action, desk: Desk, cause: Cause) -> Carried:
    card = _card_of(action, desk)
    if card.status == ACTIVE:
        transaction_id = _transaction_behind(action, desk.cases)
        about = desk.transactions.get(transaction_id) if transaction_id is not None else None
        if about is not None and about.stands_as(GENUINE):
            return _OVERRULED
        block = block_of(card, action, transaction_id, cause)
        if not desk.cards.block(block):
            raise Retryable(f"{card.card_id}, or what its block rests on, was changed by somebody else meanwhile")
        card = told(block.card, card.card_id, desk.cards, desk.bus)
    return _DONE if card.change_id == action.action_id else _DONE_BY_ANOTHER


def _card_of(action: Action, desk: Desk) -> Card:
    """The action's card, whose events are out."""
    card = desk.cards.get(action.card_id) if action.card_id is not None else None
    if card is None or card.customer_id != action.customer_id:
        raise Rejected(f"action {action.action_id}: {action.customer_id} has no card {action.card_id}")
    return told(card, card.card_id, desk.cards, desk.bus)


def _transaction_behind(action: Action, cases: Cases) -> str | None:
    """The transaction that the action's case is about, where it has one."""
    case = cases.get(action.case_id) if action.case_id is not None else None
    return None if case is None else case.transaction_id


# ---- transactions


def _refund(action: Action, desk: Desk, cause: Cause) -> Carried:
    paid = _transaction_of(action, desk)
    if paid.refund is not None and paid.refund.refund_id == action.action_id:
        return _DONE
    if paid.stands_as(GENUINE):
        return _OVERRULED
    if paid.is_refunded:
        return _DONE_BY_ANOTHER
    if action.amount_minor != paid.amount_minor:
        raise Rejected(f"action {action.action_id}: {action.amount_minor} was approved, {paid.amount_minor} was paid")
    after = refunded(paid, action.action_id, paid.amount_minor, cause, case_id=action.case_id)
    return _change(paid, after, action, desk)


def _release(action: Action, desk: Desk, cause: Cause) -> Carried:
    paid = _transaction_of(action, desk)
    if paid.release is not None and paid.release.release_id == action.action_id:
        return _DONE
    if paid.stands_as(FRAUD):
        return _OVERRULED
    if paid.is_released:
        return _DONE_BY_ANOTHER
    after = released(paid, action.action_id, "analyst", cause, case_id=action.case_id)
    return _change(paid, after, action, desk)


def _transaction_of(action: Action, desk: Desk) -> PaidTransaction:
    """The action's transaction, whose events are out."""
    paid = desk.transactions.get(action.transaction_id) if action.transaction_id is not None else None
    if paid is None or paid.customer_id != action.customer_id:
        raise Rejected(f"action {action.action_id}: {action.customer_id} has no transaction {action.transaction_id}")
    return told(paid, paid.transaction_id, desk.transactions, desk.bus)


def _change(before: PaidTransaction, after: PaidTransaction, action: Action, desk: Desk) -> Carried:
    if not desk.transactions.write(before, after, action.action_id):
        raise Retryable(f"{before.transaction_id}, or its action, was changed by somebody else meanwhile")
    told(after, after.transaction_id, desk.transactions, desk.bus)
    return _DONE


# ---- what else waits for the same


def _close_others(action: Action, desk: Desk, occasion: Occasion) -> None:
    """Ends what else waits for what is so now: an analyst need not look at it any more.

    One that is too new to be found here does no harm: once approved, it is carried out as nothing to do.
    """
    for other in desk.actions.of_card(action.card_id or ""):
        if not _asks_the_same(other, action):
            continue
        _publish(other, desk)
        ended = rejected(other, (), "nothing_to_do", occasion)
        if desk.actions.close(other, ended):
            _publish(ended, desk)


def _asks_the_same(other: Action, action: Action) -> bool:
    """Of two actions about one card."""
    return (other.action, other.transaction_id) == (action.action, action.transaction_id)


def _publish(action: Action, desk: Desk) -> None:
    publish_kept(action.event_to_publish, desk.bus, lambda event: desk.actions.note_published(action.action_id, event))


_STEPS: dict[str, Callable[[Action, Desk, Cause], Carried]] = {
    "block_card": _block,
    "refund": _refund,
    "release_transaction": _release,
}
