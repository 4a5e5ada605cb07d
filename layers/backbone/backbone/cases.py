"""Cases: what somebody at the bank looks into, how it ends, and the event that tells of it.

``agent_tools`` opens a case; an analyst closes it, once:

    open -> closing -> closed

``closing`` is closed too, for everybody but the outbox: the bus may not have its CaseClosed yet, and an index finds
such cases by it. Closing is one conditional write with its event, so that a case has one outcome however many ask.
Knows no AWS: ``case_rows`` keeps them.
"""

import dataclasses
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

OUTCOMES: tuple[Outcome, ...] = ("confirmed_fraud", "genuine", "unresolved")


@dataclass(frozen=True, slots=True)
class Case:
    """A case as its row has it; times are RFC 3339 in UTC.

    ``opened_by`` and ``closed_by`` are people's ids, or "agent", in the roles beside them; ``kind`` is chat or
    investigation. ``note`` says why it was closed so, in the analyst's words. ``causation_depth`` is its CaseOpened's.
    ``event_to_publish`` is an event that the bus may not have yet.
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
    metadata = Metadata(
        event_id=contracts.event_id("CaseClosed", case.case_id),
        event_version=1,
        correlation_id=case.correlation_id,
        causation_id=occasion.causation_id or contracts.event_id("CaseOpened", case.case_id),
        occurred_at=contracts.timestamp(occasion.now),
        producer=occasion.producer,
        traceparent=occasion.traceparent,
        causation_depth=contracts.depth_after(max(case.causation_depth, occasion.causation_depth)),
    )
    return contracts.build("CaseClosed", {name: value for name, value in said.items() if value is not None}, metadata)
