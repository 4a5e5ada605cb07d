"""Cases: what somebody at the bank looks into, how it ends, and the events that tell of it.

``agent_tools`` opens a case for a person, an investigation one for itself; an analyst closes it, or the investigation
where it came to a verdict, once:

    open -> closing -> closed

``closing`` is closed too, for everybody but the outbox: the bus may not have its CaseClosed yet, and an index finds
such cases by it. Closing is one conditional write with its event, so that a case has one outcome however many ask. A
case that an investigation could not end is handed to a person: it stays open, and says why.
Knows no AWS: ``case_rows`` keeps them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from backbone import contracts
from backbone.actions import Occasion
from backbone.contracts import Event, Metadata
from backbone.outbox import as_text

type Status = Literal["open", "closing", "closed"]
# What the case's transaction turned out to be; unresolved teaches nobody anything.
type Outcome = Literal["confirmed_fraud", "genuine", "unresolved"]
type Closer = Literal["analyst", "agent"]
# Why an investigation gave its case to a person. asked: it could not tell. rejected, expired: what it proposed was. The
# next four are its bounds. paused: somebody paused the agents. model_failed: the model gave no whole answer. not_found:
# the transaction is gone. failed: anything else broke.
type Reason = Literal[
    "asked", "rejected", "expired", "steps", "tokens", "cost", "time", "paused", "model_failed", "not_found", "failed"
]

OUTCOMES: tuple[Outcome, ...] = ("confirmed_fraud", "genuine", "unresolved")


@dataclass(frozen=True, slots=True)
class Case:
    """A case as its row has it; times are RFC 3339 in UTC.

    ``opened_by`` and ``closed_by`` are people's ids, or "agent", in the roles beside them; ``kind`` is chat or
    investigation. ``note`` says why it was closed so, in the closer's words. ``causation_depth`` is its CaseOpened's.
    ``event_to_publish`` is an event that the bus may not have yet. ``goal`` is what an investigation is for;
    ``escalated_because`` says why it gave the case to a person.
    """

    case_id: str
    customer_id: str
    subject: str
    kind: str
    status: Status
    opened_by: str
    opened_by_role: str
    opened_at: str
    correlation_id: str
    transaction_id: str | None = None
    outcome: Outcome | None = None
    closed_by: str | None = None
    closed_by_role: Closer | None = None
    closed_at: str | None = None
    note: str | None = None
    causation_depth: int = 0
    event_to_publish: str | None = None
    goal: str | None = None
    escalated_at: str | None = None
    escalated_because: Reason | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody can still close it."""
        return self.status == "open"


def closing_order(closed_at: str, case_id: str) -> tuple[datetime, str]:
    """Where the end of a case lies among others: of two outcomes for one transaction the last one stands.

    ``closed_at`` is RFC 3339. Of two in one millisecond the case's id decides, so that everybody decides alike.
    """
    return datetime.fromisoformat(closed_at), case_id


def closed(case: Case, outcome: Outcome, *, closed_by: str, role: Closer, note: str | None, occasion: Occasion) -> Case:
    """The case once ``closed_by`` has closed it, with its CaseClosed; the note stays out of the event."""
    ended = dataclasses.replace(
        case,
        status="closing",
        outcome=outcome,
        closed_by=closed_by,
        closed_by_role=role,
        closed_at=contracts.timestamp(occasion.now),
        note=note,
    )
    return dataclasses.replace(ended, event_to_publish=as_text(_closed_event(ended, occasion)))


def opened(case: Case, occasion: Occasion) -> Case:
    """A case that an investigation opens, with its CaseOpened."""
    said = {
        "caseId": case.case_id,
        "customerId": case.customer_id,
        "transactionId": case.transaction_id,
        "kind": case.kind,
        "openedBy": case.opened_by_role,
    }
    event = _event("CaseOpened", case, said, occasion, case.causation_depth)
    return dataclasses.replace(case, event_to_publish=as_text(event))


def escalated(case: Case, reason: Reason, occasion: Occasion) -> Case:
    """The case once an investigation gave it to a person, with its CaseEscalated; it stays open."""
    given = dataclasses.replace(case, escalated_at=contracts.timestamp(occasion.now), escalated_because=reason)
    said = {
        "caseId": case.case_id,
        "customerId": case.customer_id,
        "transactionId": case.transaction_id,
        "reason": reason,
        "escalatedAt": given.escalated_at,
    }
    event = _event("CaseEscalated", given, said, occasion, _depth_after(case, occasion))
    return dataclasses.replace(given, event_to_publish=as_text(event))


def _closed_event(case: Case, occasion: Occasion) -> Event:
    said: dict[str, Any] = {
        "caseId": case.case_id,
        "customerId": case.customer_id,
        "transactionId": case.transaction_id,
        "kind": case.kind,
        "openedBy": case.opened_by_role,
        "outcome": case.outcome,
        "closedBy": case.closed_by_role,
        "closedAt": case.closed_at,
    }
    return _event("CaseClosed", case, said, occasion, _depth_after(case, occasion))


def _depth_after(case: Case, occasion: Occasion) -> int:
    return contracts.depth_after(max(case.causation_depth, occasion.causation_depth))


def _event(detail_type: str, case: Case, said: Mapping[str, Any], occasion: Occasion, depth: int) -> Event:
    """The one ``detail_type`` about the case; what is None in ``said`` is left out."""
    metadata = Metadata(
        event_id=contracts.event_id(detail_type, case.case_id),
        event_version=1,
        correlation_id=case.correlation_id,
        causation_id=occasion.causation_id or contracts.event_id("CaseOpened", case.case_id),
        occurred_at=contracts.timestamp(occasion.now),
        producer=occasion.producer,
        traceparent=occasion.traceparent,
        causation_depth=depth,
    )
    return contracts.build(detail_type, {name: value for name, value in said.items() if value is not None}, metadata)
