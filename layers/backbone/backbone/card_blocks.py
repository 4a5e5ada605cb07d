"""Blocking a card on an analyst's word, and unblocking it where the case that it was blocked for turns out otherwise.

``agent_tools`` blocks cards too, at once, on their customer's word: then the card's ``change_id`` is no action's.
Knows no AWS: ``card_block_rows`` keeps them.
"""

from dataclasses import dataclass, replace

from backbone.actions import Action
from backbone.contracts import Cause, timestamp
from backbone.outbox import as_text

ACTIVE, BLOCKED = "active", "blocked"
# On whose word: an agent's or a customer's proposal is carried out on the analyst's who approved it.
BLOCKED_BY = "analyst"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the registry has it; ``event_to_publish`` is an event about it that the bus may not have yet.

    ``change_id`` is the action, or the request, that blocked it.
    """

    card_id: str
    customer_id: str
    status: str
    version: int
    change_id: str | None = None
    event_to_publish: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """What is written when a card is blocked; ``at`` is RFC 3339.

    ``transaction_id`` is the one that the action's case is about, where it has one: it must not stand as genuine.
    """

    card: Card
    action_id: str
    at: str
    person_id: str
    reason: str
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unblock:
    """What is written when the block by ``action_id`` is taken back, while ``case_id`` is what stands; RFC 3339."""

    card: Card
    action_id: str
    at: str
    transaction_id: str
    case_id: str


def block_of(card: Card, action: Action, transaction_id: str | None, cause: Cause) -> Block:
    """The block that ``action`` asks for, with its CardBlocked."""
    version = card.version + 1
    data = {
        "cardId": card.card_id,
        "customerId": card.customer_id,
        "reason": action.reason,
        "blockedBy": BLOCKED_BY,
        "actionId": action.action_id,
        "caseId": action.case_id,
        "transactionId": transaction_id,
    }
    event = cause.event("CardBlocked", f"{card.card_id}:{version}", data)
    blocked = replace(
        card, status=BLOCKED, version=version, change_id=action.action_id, event_to_publish=as_text(event)
    )
    at = timestamp(cause.now)
    return Block(blocked, action.action_id, at, action.decided_by[-1], action.reason, transaction_id)


def unblock_of(card: Card, action_id: str, transaction_id: str, case_id: str, cause: Cause) -> Unblock:
    """The end of the block by ``action_id``, because ``case_id`` found the transaction genuine; with CardUnblocked."""
    version = card.version + 1
    data = {
        "cardId": card.card_id,
        "customerId": card.customer_id,
        "actionId": action_id,
        "caseId": case_id,
        "transactionId": transaction_id,
    }
    event = cause.event("CardUnblocked", f"{card.card_id}:{version}", data)
    active = replace(card, status=ACTIVE, version=version, change_id=None, event_to_publish=as_text(event))
    return Unblock(active, action_id, timestamp(cause.now), transaction_id, case_id)
