"""Proposed actions: what waits for an analyst, what became of it, and the event that tells of it.

``agent_tools`` proposes; from then on an action goes one way, and one step at a time:

    proposed -> approved -> done                      one analyst is enough
    proposed -> half_approved -> approved -> done     two different ones are asked for
    proposed or half_approved -> rejected             by an analyst, by its expiry, or because nothing was left to do

Each step is one conditional write with its event, so that an action has one outcome and one event however many ask.
Knows no AWS: ``action_rows`` keeps them.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.outbox import as_text

type Status = Literal["proposed", "half_approved", "approved", "rejected", "done"]
# nothing_to_do: what it asks for was done meanwhile by another action.
type Cause = Literal["rejected", "expired", "nothing_to_do"]

# What an analyst, the clock or another action has made of a proposal.
type Decision = Literal["approved"] | Cause

OPEN: tuple[Status, ...] = ("proposed", "half_approved")


@dataclass(frozen=True, slots=True)
class Action:
    """An action as its row has it.

    ``action`` is what is to be done (block_card, ...), ``person_id`` who proposed it in the role ``proposed_by``.
    ``amount_minor`` is what is at stake in minor units, ``spent`` the same in words. ``expires_at`` is in epoch
    seconds, the other times are RFC 3339. ``half_approved_by`` approved first where two must; ``decided_by`` are the
    people whose word it was in the end, nobody's where it expired. ``causation_depth`` is its ActionProposed's.
    ``event_to_publish`` is an event that the bus may not have yet.
    """

    action_id: str
    action: str
    customer_id: str
    reason: str
    proposed_by: str
    person_id: str
    correlation_id: str
    status: Status
    created_at: str
    expires_at: int
    card_id: str | None = None
    transaction_id: str | None = None
    case_id: str | None = None
    amount_minor: int | None = None
    spent: str | None = None
    half_approved_by: str | None = None
    decided_by: tuple[str, ...] = ()
    decided_at: str | None = None
    cause: Cause | None = None
    causation_depth: int = 0
    event_to_publish: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody can still decide; that it has not expired is for the clock to say."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Occasion:
    """How an action comes to its end: when (``now`` in epoch seconds), by which function, in which trace (W3C).

    ``causation_id`` is the event that led to it, where that is another than the proposal, and ``causation_depth`` that
    event's depth.
    """

    now: float
    producer: str
    traceparent: str | None = None
    causation_id: str | None = None
    causation_depth: int = 0


def seen_digest(action: Action) -> str:
    """What an analyst has seen, as SHA-256 in hexadecimal: whoever decides names it, and a change since is refused.

    Over the whole action, but for the event that waits to be published, which nobody is shown.
    """
    seen = dataclasses.asdict(dataclasses.replace(action, event_to_publish=None))
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def decision_on(action: Action) -> Decision | None:
    """What became of the proposal; None while somebody can still decide."""
    if action.is_open:
        return None
    return action.cause if action.status == "rejected" else "approved"


def approvals_needed(action: Action, four_eyes_amount: int) -> int:
    """How many different analysts must approve: two where more than ``four_eyes_amount`` (minor units) is at stake.

    Where nobody says what is at stake, two must: too many eyes do no harm.
    """
    return 1 if action.amount_minor is not None and action.amount_minor <= four_eyes_amount else 2


def half_approved(action: Action, person_id: str) -> Action:
    """The action once the first of two analysts has approved; that is no outcome, so there is no event."""
    return dataclasses.replace(action, status="half_approved", half_approved_by=person_id)


def approved(action: Action, person_id: str, occasion: Occasion) -> Action:
    """The action once ``person_id`` has said the last word, with its ActionApproved."""
    first = (action.half_approved_by,) if action.half_approved_by is not None else ()
    return _ended(action, "approved", (*first, person_id), None, occasion)


def rejected(action: Action, decided_by: tuple[str, ...], cause: Cause, occasion: Occasion) -> Action:
    """The action once it is rejected, with its ActionRejected."""
    return _ended(action, "rejected", decided_by, cause, occasion)


def _ended(
    action: Action,
    status: Literal["approved", "rejected"],
    decided_by: tuple[str, ...],
    cause: Cause | None,
    occasion: Occasion,
) -> Action:
    ended = dataclasses.replace(
        action, status=status, decided_by=decided_by, decided_at=contracts.timestamp(occasion.now), cause=cause
    )
    detail_type = "ActionApproved" if status == "approved" else "ActionRejected"
    return dataclasses.replace(ended, event_to_publish=as_text(_event(detail_type, ended, occasion)))


def _event(detail_type: str, action: Action, occasion: Occasion) -> Event:
    said: dict[str, Any] = {
        "actionId": action.action_id,
        "action": action.action,
        "customerId": action.customer_id,
        "cardId": action.card_id,
        "transactionId": action.transaction_id,
        "caseId": action.case_id,
        "amountMinor": action.amount_minor,
        "decidedBy": list(action.decided_by),
        "decidedAt": action.decided_at,
        "cause": action.cause,
    }
    metadata = Metadata(
        event_id=contracts.event_id(detail_type, action.action_id),
        event_version=1,
        correlation_id=action.correlation_id,
        causation_id=occasion.causation_id or contracts.event_id("ActionProposed", action.action_id),
        occurred_at=contracts.timestamp(occasion.now),
        producer=occasion.producer,
        traceparent=occasion.traceparent,
        causation_depth=contracts.depth_after(max(action.causation_depth, occasion.causation_depth)),
    )
    return contracts.build(detail_type, {name: value for name, value in said.items() if value is not None}, metadata)
