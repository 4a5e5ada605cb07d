"""What an investigation may do about a transaction: let a flagged one go, propose to pay one back.

Tools of an agent that investigates, and of nobody else (backbone.tool_catalogue.INVESTIGATION_TOOLS). What stands on
the transaction's row decides: nothing is released that stands as fraud, nothing paid back that stands as genuine.
Knows no AWS: where transactions and proposed actions are kept is an argument.
"""

import json
from dataclasses import replace
from typing import Any, Protocol

from backbone.actions import Action
from backbone.errors import Retryable
from backbone.outbox import Bus, told
from backbone.transaction_changes import FRAUD, GENUINE, PaidTransaction, released
from occasions import Occasion, cause_of
from proposals import Actions, Wish, facts_of, proposal_of, standing_proposal, tell_proposed, view_of
from tool_answers import ToolAnswer, done, money, proposed, refused
from tool_session import Session
from transaction_tools import no_such_transaction

RELEASE, REFUND = "release_transaction", "refund"
_RELEASED = "TransactionReleased"


class PaidTransactions(Protocol):
    """Transactions and what was done about them. Each raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> PaidTransaction | None: ...
    def write(self, before: PaidTransaction, after: PaidTransaction) -> bool:
        """Writes the change with its event; False, and nothing written, where ``before`` no longer stands."""

    def note_published(self, transaction_id: str, event_to_publish: str) -> None: ...


def release_transaction(
    occasion: Occasion,
    transaction_id: str,
    *,
    paid_transactions: PaidTransactions,
    actions: Actions,
    bus: Bus,
    approval_amount: int,
) -> ToolAnswer:
    """Lets a flagged transaction of the customer's go, or proposes it where more than ``approval_amount`` was paid.

    In minor units of the transaction's currency. Asked again it answers the same and changes nothing. Raises Retryable,
    also where it is released but the bus did not take the event: asking again publishes it.
    """
    session = occasion.session
    change_id = session.change_id(RELEASE, {"transactionId": transaction_id})
    paid = _own(transaction_id, session, paid_transactions)
    if paid is None:
        return no_such_transaction(transaction_id, session)
    why_not = _why_not_released(paid, change_id)
    if why_not is not None:
        return refused(why_not)
    if paid.is_released:
        return _released(paid, change_id, paid_transactions, bus)
    proposal = standing_proposal(
        change_id, session, actions, action=RELEASE, card_id=paid.card_id, transaction_id=transaction_id
    )
    if proposal is None and paid.amount_minor > approval_amount:
        why = f"Release of {_about(paid, capital=False)}: more than an agent releases by itself."
        proposal = actions.add(proposal_of(change_id, _wish(RELEASE, why, paid), occasion))
    if proposal is not None:
        return _proposed(proposal, paid, actions, bus)
    after = released(
        _told(paid, paid_transactions, bus), change_id, "agent", cause_of(occasion), case_id=session.case_id
    )
    if not paid_transactions.write(replace(paid, event_to_publish=None), after):
        raise Retryable(f"{transaction_id} was changed by somebody else meanwhile")
    return _released(after, change_id, paid_transactions, bus)


def refund(
    occasion: Occasion, transaction_id: str, *, paid_transactions: PaidTransactions, actions: Actions, bus: Bus
) -> ToolAnswer:
    """Proposes that a transaction of the customer's is paid back whole; an analyst decides, whatever the amount.

    Asked again in the same turn, or while the case's proposal is open, it answers the same. Raises Retryable.
    """
    session = occasion.session
    change_id = session.change_id(REFUND, {"transactionId": transaction_id})
    paid = _own(transaction_id, session, paid_transactions)
    if paid is None:
        return no_such_transaction(transaction_id, session)
    proposal = standing_proposal(
        change_id, session, actions, action=REFUND, card_id=paid.card_id, transaction_id=transaction_id
    )
    if proposal is None and paid.stands_as(GENUINE):
        return refused(f"{_about(paid)} was found to be genuine, so it is not paid back.")
    if proposal is None and paid.is_refunded:
        return done([f"{_about(paid)} was paid back already, so nothing has changed."], _view(paid))
    if proposal is None:
        why = f"Refund of {_about(paid, capital=False)}."
        proposal = actions.add(proposal_of(change_id, _wish(REFUND, why, paid), occasion))
    return _proposed(proposal, paid, actions, bus)


def _why_not_released(paid: PaidTransaction, change_id: str) -> str | None:
    if not paid.is_flagged:
        return f"{_about(paid)} was not flagged, so there is nothing to release."
    if paid.stands_as(FRAUD):
        return f"{_about(paid)} was found to be a fraud, so it is not released."
    if paid.release is not None and paid.release.release_id == change_id and not paid.is_released:
        return f"{_about(paid)} was released on this request before, and that was withdrawn."
    return None


def _own(transaction_id: str, session: Session, paid_transactions: PaidTransactions) -> PaidTransaction | None:
    """The transaction, where it is the session's customer's; a foreign one is as if it were not there."""
    paid = paid_transactions.get(transaction_id)
    return paid if paid is not None and paid.customer_id == session.customer_id else None


def _wish(action: str, why: str, paid: PaidTransaction) -> Wish:
    return Wish(action, paid.card_id, why, why, paid.amount_minor, transaction_id=paid.transaction_id)


def _released(paid: PaidTransaction, change_id: str, paid_transactions: PaidTransactions, bus: Bus) -> ToolAnswer:
    """The answer about a transaction that is released, whose event is published now if it was not yet."""
    paid = _told(paid, paid_transactions, bus)
    if paid.release is not None and paid.release.release_id == change_id:
        return done([f"{_about(paid)} is released: nobody holds it against the customer any more."], _view(paid))
    return done([f"{_about(paid)} was released already, so nothing has changed."], _view(paid))


def _told(paid: PaidTransaction, paid_transactions: PaidTransactions, bus: Bus) -> PaidTransaction:
    """The transaction, whose events are out. Raises Retryable for one that is another function's to tell."""
    kept = paid.event_to_publish
    if kept is not None and json.loads(kept)["detail-type"] != _RELEASED:
        raise Retryable(f"{paid.transaction_id} was changed a moment ago, which is not told yet")
    return told(paid, paid.transaction_id, paid_transactions, bus)


def _proposed(action: Action, paid: PaidTransaction, actions: Actions, bus: Bus) -> ToolAnswer:
    """The answer about a proposed action, whose event is published now if it was not yet."""
    tell_proposed(action, actions, bus)
    what = "Releasing" if action.action == RELEASE else "Paying back"
    facts = [f"{what} {_about(paid, capital=False)} needs an analyst's approval."]
    facts += facts_of(action, "Without an approval nothing is done.")
    return proposed(facts, {"action": view_of(action)})


def _about(paid: PaidTransaction, *, capital: bool = True) -> str:
    noun = "Transaction" if capital else "transaction"
    return f"{noun} {paid.transaction_id} of {money(paid.amount_minor, paid.currency)} with {paid.card_id}"


def _view(paid: PaidTransaction) -> dict[str, Any]:
    view: dict[str, Any] = {"transactionId": paid.transaction_id}
    if paid.release is not None and paid.is_released:
        view["releasedAt"] = paid.release.at
    if paid.refund is not None and paid.is_refunded:
        view["refundedAt"] = paid.refund.at
    return {"transactions": [view]}
