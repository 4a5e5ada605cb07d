"""Cards: which there are, and blocking one.

Knows no AWS: where cards, transactions and proposed actions are kept is an argument.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from backbone import contracts
from backbone.actions import Action
from backbone.errors import Retryable
from backbone.outbox import Bus, as_text, publish_kept
from occasions import Occasion, build_event
from proposals import Actions, Wish, facts_of, proposal_of, standing_proposal, tell_proposed, view_of
from tool_answers import ToolAnswer, counted, done, moment, money, proposed, refused, sentence
from tool_session import AGENT, Session

ACTIVE, BLOCKED = "active", "blocked"
CARDS_LISTED = 20
SPEND_DAYS = 7
_SECONDS_PER_DAY = 86_400
_REASONS = {
    "lost": "reported lost",
    "stolen": "reported stolen",
    "fraud": "reported as used by somebody else",
    "other": "for another reason",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the registry has it; the last six say how it was blocked. ``blocked_at`` is RFC 3339 in UTC.

    ``change_id`` is the request that blocked it; ``event_to_publish`` is CardBlocked while the bus does not have it.
    """

    card_id: str
    customer_id: str
    label: str
    status: str
    version: int
    blocked_at: str | None = None
    blocked_by: str | None = None
    blocked_by_person: str | None = None
    block_reason: str | None = None
    change_id: str | None = None
    event_to_publish: str | None = None


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent with a card: minor units by currency. Not ``is_complete``: at least this, there is more."""

    by_currency: dict[str, int]
    is_complete: bool

    @property
    def amount_minor(self) -> int:
        """All currencies' minor units together: the bank's limit is one number, and too high errs to caution."""
        return sum(self.by_currency.values())

    def __str__(self) -> str:
        parts = [money(amount, currency) for currency, amount in sorted(self.by_currency.items())]
        return ("" if self.is_complete else "more than ") + (" and ".join(parts) or "nothing")


class Cards(Protocol):
    """The registry. Each raises Retryable where it cannot now."""

    def get(self, card_id: str) -> Card | None: ...
    def of_customer(self, customer_id: str, at_most: int) -> tuple[list[Card], bool]: ...
    def block(self, card: Card) -> bool:
        """Writes the block and its event at once; False, and nothing written, where the card changed meanwhile."""

    def note_published(self, card: Card) -> None: ...


class Spending(Protocol):
    """What a card paid since a moment (epoch seconds). Raises Retryable."""

    def spend(self, customer_id: str, card_id: str, since: float) -> Spend: ...


def list_cards(session: Session, *, cards: Cards) -> ToolAnswer:
    """The customer's cards, each with its state as of now."""
    found, is_all = cards.of_customer(session.customer_id, CARDS_LISTED)
    if not found:
        return done([f"There is no card of {_theirs(session)} at this bank."], {"cards": []})
    facts = [state_of(card, session) for card in found]
    if not is_all:
        facts.append(f"There are more cards; the first {counted(len(found), 'card')} are listed.")
    return done(facts, {"cards": [_view(card) for card in found]})


def own_card(card_id: str, session: Session, cards: Cards) -> Card | None:
    """The card, where it is the session's customer's; a foreign one is as if it were not there."""
    card = cards.get(card_id)
    return card if card is not None and card.customer_id == session.customer_id else None


def no_such_card(card_id: str, session: Session) -> ToolAnswer:
    """The one refusal for a card that is not there and for one that is somebody else's."""
    return refused(f"There is no card {card_id} of {_theirs(session)}.")


def name_of(card: Card, session: Session) -> str:
    """ "your debit card ending 0042 (CARD-000042)"."""
    return f"{session.whose} {card.label[:1].lower()}{card.label[1:]} ({card.card_id})"


def state_of(card: Card, session: Session) -> str:
    """Whether the card is active or blocked, in a sentence."""
    if card.status == ACTIVE or card.blocked_at is None:
        return f"{sentence(name_of(card, session))} is {card.status}."
    since = moment(datetime.fromisoformat(card.blocked_at).timestamp())
    why = _REASONS.get(card.block_reason or "other", _REASONS["other"])
    return f"{sentence(name_of(card, session))} is blocked since {since}: {why}."


def block_card(
    occasion: Occasion,
    card_id: str,
    reason: str,
    *,
    cards: Cards,
    spending: Spending,
    actions: Actions,
    bus: Bus,
    approval_amount: int,
) -> ToolAnswer:
    """Blocks an active card of the customer's, or proposes it where an agent asks or much was spent with it lately.

    ``approval_amount`` in minor units. Asked again in the same turn it answers the same and changes nothing; so does
    another turn of a case whose proposal is still open. A card that was blocked before stays as it was, and no second
    event is made. Raises Retryable, also where the card is blocked but the bus did not take the event: asking again
    publishes it.
    """
    session = occasion.session
    change_id = session.change_id("block_card", {"cardId": card_id, "reason": reason})
    card = own_card(card_id, session, cards)
    if card is None:
        return no_such_card(card_id, session)
    if card.status != ACTIVE:
        return _blocked(card, change_id, session, cards, bus)
    if card.event_to_publish is not None:
        raise Retryable(f"{card_id} was unblocked a moment ago, which is not told yet")
    earlier = standing_proposal(change_id, session, actions, action="block_card", card_id=card_id)
    if earlier is not None:
        return _propose(earlier, card, session, actions, bus)
    spend = spending.spend(session.customer_id, card_id, occasion.now - SPEND_DAYS * _SECONDS_PER_DAY)
    if session.role == AGENT or spend.amount_minor > approval_amount or not spend.is_complete:
        action = _action(change_id, card, reason, spend, occasion)
        return _propose(actions.add(action), card, session, actions, bus)
    blocked = _after_block(card, reason, change_id, occasion)
    if not cards.block(blocked):
        raise Retryable(f"{card_id} was changed by somebody else meanwhile")
    return _blocked(blocked, change_id, session, cards, bus)


def _blocked(card: Card, change_id: str, session: Session, cards: Cards, bus: Bus) -> ToolAnswer:
    """The answer about a card that is blocked, whose event is published now if it was not yet."""
    publish_kept(card.event_to_publish, bus, lambda _: cards.note_published(card))
    more = (
        "No payment with it goes through any more."
        if card.change_id == change_id
        else "It was blocked already, so nothing has changed."
    )
    return done([state_of(card, session), more], {"cards": [_view(card)]})


def _after_block(card: Card, reason: str, change_id: str, occasion: Occasion) -> Card:
    """The card once it is blocked, with the event that tells of it."""
    session, version = occasion.session, card.version + 1
    data = {"cardId": card.card_id, "customerId": card.customer_id, "reason": reason, "blockedBy": session.role}
    event = build_event("CardBlocked", f"{card.card_id}:{version}", data, occasion)
    return replace(
        card,
        status=BLOCKED,
        version=version,
        blocked_at=contracts.timestamp(occasion.now),
        blocked_by=session.role,
        blocked_by_person=session.person_id,
        block_reason=reason,
        change_id=change_id,
        event_to_publish=as_text(event),
    )


def _action(action_id: str, card: Card, reason: str, spend: Spend, occasion: Occasion) -> Action:
    why = f"Card {_REASONS[reason]}; {spend} spent with it in the last {SPEND_DAYS} days."
    wish = Wish("block_card", card.card_id, reason, why, spend.amount_minor, str(spend))
    return proposal_of(action_id, wish, occasion)


def _propose(action: Action, card: Card, session: Session, actions: Actions, bus: Bus) -> ToolAnswer:
    """The answer about a proposed action, whose event is published now if it was not yet."""
    tell_proposed(action, actions, bus)
    because = f", because {action.spent} was spent with it in the last {SPEND_DAYS} days"
    if action.proposed_by == AGENT:
        because = ", because no agent blocks a card by itself"
    facts = [f"Blocking {name_of(card, session)} needs an analyst's approval{because}."]
    facts += facts_of(action, "The card stays active until then; without an approval nothing is done.")
    if action.is_open:
        facts.append("If it is urgent, call the bank.")
    return proposed(facts, {"action": view_of(action), "cards": [_view(card)]})


def _view(card: Card) -> dict[str, Any]:
    view = {"cardId": card.card_id, "label": card.label, "status": card.status}
    if card.status == BLOCKED and card.blocked_at is not None:
        view |= {"blockedAt": card.blocked_at, "blockReason": card.block_reason or "other"}
    return view


def _theirs(session: Session) -> str:
    return "yours" if session.whose == "your" else "this customer's"
