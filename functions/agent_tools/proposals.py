"""Proposed actions: what the session may ask for but not do, so that an analyst decides.

One turn proposes a thing once, however often it asks; one case has it proposed once at a time, whichever turn asks.
Knows no AWS: where actions are kept is an argument.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from backbone import contracts
from backbone.actions import Action
from backbone.outbox import Bus, as_text, publish_kept
from occasions import Occasion, build_event
from tool_answers import moment
from tool_session import Session

# Somebody decides within a day, or nothing is done.
ACTION_LIFETIME_SECONDS = 86_400


class Actions(Protocol):
    """Proposed actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def of_card(self, card_id: str) -> Iterator[Action]:
        """Those about a card that wait for a decision; one that was proposed this second may be missing."""

    def add(self, action: Action) -> Action:
        """Keeps ``action`` and its event; answers what stands there, which is an earlier one where there was one."""

    def note_published(self, action_id: str, event_to_publish: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, for a proposal: ``action`` is block_card, release_transaction or refund.

    ``reason`` stands on the row, ``why`` in the event, where words are wanted. ``amount_minor`` is what is at stake, in
    minor units: of a transaction its amount; of a card what was spent with it lately, and ``spent`` the same in words,
    by currency.
    """

    action: str
    card_id: str
    reason: str
    why: str
    amount_minor: int
    spent: str | None = None
    transaction_id: str | None = None


def proposal_of(action_id: str, wish: Wish, occasion: Occasion) -> Action:
    """The action, with its ActionProposed."""
    session = occasion.session
    said: dict[str, Any] = {
        "actionId": action_id,
        "action": wish.action,
        "customerId": session.customer_id,
        "cardId": wish.card_id,
        "transactionId": wish.transaction_id,
        "caseId": session.case_id,
        "amountMinor": wish.amount_minor,
        "reason": wish.why,
        "proposedBy": session.role,
    }
    return Action(
        action_id=action_id,
        action=wish.action,
        customer_id=session.customer_id,
        card_id=wish.card_id,
        reason=wish.reason,
        amount_minor=wish.amount_minor,
        spent=wish.spent,
        proposed_by=session.role,
        person_id=session.person_id,
        case_id=session.case_id,
        correlation_id=session.correlation_id,
        status="proposed",
        created_at=contracts.timestamp(occasion.now),
        expires_at=int(occasion.now) + ACTION_LIFETIME_SECONDS,
        transaction_id=wish.transaction_id,
        causation_depth=session.causation_depth,
        event_to_publish=as_text(build_event("ActionProposed", action_id, said, occasion)),
    )


def standing_proposal(
    action_id: str,
    session: Session,
    actions: Actions,
    *,
    action: str,
    card_id: str,
    transaction_id: str | None = None,
) -> Action | None:
    """What this turn proposed before, decided or not; else what the session's case has open for the same; or None."""
    mine = actions.get(action_id)
    if mine is not None or session.case_id is None:
        return mine
    wanted = (session.case_id, action, transaction_id)
    open_ones = actions.of_card(card_id)
    return next((one for one in open_ones if (one.case_id, one.action, one.transaction_id) == wanted), None)


def tell_proposed(action: Action, actions: Actions, bus: Bus) -> None:
    """Publishes the proposal's event, if the bus does not have it yet. Raises Retryable."""
    publish_kept(action.event_to_publish, bus, lambda event: actions.note_published(action.action_id, event))


def facts_of(action: Action, until_then: str) -> list[str]:
    """How a proposal stands; ``until_then`` is a sentence on what is so while it waits."""
    if not action.is_open:
        return [f"The request, action {action.action_id}, was {action.status}."]
    return [
        f"The request waits for an analyst as action {action.action_id} until {moment(action.expires_at)}.",
        until_then,
    ]


def view_of(action: Action) -> dict[str, Any]:
    """The proposal as a tool's data."""
    expires_at = contracts.timestamp(action.expires_at)
    return {"actionId": action.action_id, "status": action.status, "expiresAt": expires_at}
