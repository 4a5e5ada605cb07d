"""Carrying out an approved action: blocking its card, once, and ending what else waits for the same.

The event says which action; what is done stands in the action's row, which is also where the approval must stand: an
ActionApproved that no row knows of does nothing. Knows no AWS: where things are kept is an argument.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from backbone import contracts
from backbone.actions import Action, Occasion, rejected
from backbone.contracts import Event, Metadata
from backbone.errors import Rejected, Retryable
from backbone.outbox import Bus, as_text, publish_kept

ACTIVE, BLOCKED = "active", "blocked"
BLOCK_CARD = "block_card"
# On whose word: an agent's or a customer's proposal is carried out on the analyst's who approved it.
BLOCKED_BY = "analyst"
DONE, NOTHING_TO_DO = "done", "nothing_to_do"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the registry has it; ``event_to_publish`` is a CardBlocked that the bus may not have yet.

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
    """What is written when a card is blocked; ``at`` is RFC 3339."""

    card: Card
    at: str
    person_id: str
    reason: str


class Actions(Protocol):
    """Keeps actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def close(self, before: Action, after: Action) -> bool: ...
    def finish(self, action_id: str, done_at: str, result: str) -> None: ...
    def note_published(self, action_id: str, event_to_publish: str) -> None: ...


class Cards(Protocol):
    """The registry, and which actions wait for a card. Each raises Retryable where it cannot now."""

    def get(self, card_id: str) -> Card | None: ...
    def block(self, block: Block) -> bool:
        """Writes the block with its event; False, and nothing written, where the card changed meanwhile."""

    def note_published(self, card_id: str, event_to_publish: str) -> None: ...
    def open_actions(self, card_id: str) -> Iterator[str]: ...


def carry_out(approval: Event, *, actions: Actions, cards: Cards, bus: Bus, occasion: Occasion) -> str:
    """Does what ``approval`` (an ActionApproved) allows; answers done, or nothing_to_do for a card that was blocked.

    Again it changes nothing, and publishes what was not published yet. Raises Rejected where the row knows of no such
    approval, where there is no such card or no way to do it; Retryable as its collaborators.
    """
    action = _approved_action(approval, actions)
    if action.status == "done":
        return DONE
    card = _card_of(action, cards)
    if card.status == ACTIVE:
        card = _block(card, action, approval, cards, occasion)
    publish_kept(card.event_to_publish, bus, lambda event: cards.note_published(card.card_id, event))
    because = replace(occasion, causation_id=approval.metadata.event_id)
    _close_others(action, actions=actions, cards=cards, bus=bus, occasion=because)
    result = DONE if card.change_id == action.action_id else NOTHING_TO_DO
    actions.finish(action.action_id, contracts.timestamp(occasion.now), result)
    return result


def _approved_action(approval: Event, actions: Actions) -> Action:
    data = approval.data
    action = actions.get(data["actionId"])
    if action is None or action.status not in ("approved", "done"):
        raise Rejected(f"action {data['actionId']}: no approval stands on its row")
    said = (data["action"], data["customerId"], data.get("cardId"), tuple(data["decidedBy"]))
    if said != (action.action, action.customer_id, action.card_id, action.decided_by):
        raise Rejected(f"action {action.action_id}: the event says something else than its row")
    if action.action != BLOCK_CARD:
        raise Rejected(f"action {action.action_id}: nobody here can {action.action}")
    return action


def _card_of(action: Action, cards: Cards) -> Card:
    card = cards.get(action.card_id) if action.card_id is not None else None
    if card is None or card.customer_id != action.customer_id:
        raise Rejected(f"action {action.action_id}: {action.customer_id} has no card {action.card_id}")
    return card


def _block(card: Card, action: Action, approval: Event, cards: Cards, occasion: Occasion) -> Card:
    """The card once it is blocked, with the event that tells of it."""
    version = card.version + 1
    event = contracts.build(
        "CardBlocked",
        {
            "cardId": card.card_id,
            "customerId": card.customer_id,
            "reason": action.reason,
            "blockedBy": BLOCKED_BY,
            "actionId": action.action_id,
        },
        Metadata(
            event_id=contracts.event_id("CardBlocked", f"{card.card_id}:{version}"),
            event_version=1,
            correlation_id=approval.metadata.correlation_id,
            causation_id=approval.metadata.event_id,
            occurred_at=contracts.timestamp(occasion.now),
            producer=occasion.producer,
            traceparent=occasion.traceparent or approval.metadata.traceparent,
        ),
    )
    blocked = replace(
        card, status=BLOCKED, version=version, change_id=action.action_id, event_to_publish=as_text(event)
    )
    if not cards.block(Block(blocked, contracts.timestamp(occasion.now), action.decided_by[-1], action.reason)):
        raise Retryable(f"{card.card_id} was changed by somebody else meanwhile")
    return blocked


def _close_others(action: Action, *, actions: Actions, cards: Cards, bus: Bus, occasion: Occasion) -> None:
    """Ends what else waits to block the card: an analyst need not look at it any more.

    One that is too new to be found here does no harm: once approved, it is carried out as nothing to do.
    """
    for action_id in cards.open_actions(action.card_id or ""):
        other = actions.get(action_id)
        if other is None or other.action != BLOCK_CARD or not other.is_open:
            continue
        _publish(other, actions, bus)
        ended = rejected(other, (), "nothing_to_do", occasion)
        if actions.close(other, ended):
            _publish(ended, actions, bus)


def _publish(action: Action, actions: Actions, bus: Bus) -> None:
    publish_kept(action.event_to_publish, bus, lambda event: actions.note_published(action.action_id, event))
