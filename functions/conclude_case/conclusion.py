"""How an investigation ends: the case is closed with a verdict, or given to a person, once.

Knows no AWS: where cases and steps are kept and the bus are arguments.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from backbone.actions import Occasion
from backbone.cases import Case, Reason, closed, escalated
from backbone.errors import Rejected, Retryable
from backbone.investigations import AGENT, Investigation, Step, Totals, totals
from backbone.outbox import Bus, publish_kept

# closed_before: somebody closed the case before the investigation came to its end; what they said stands.
type End = Literal["closed", "escalated", "closed_before"]


class Cases(Protocol):
    """Keeps cases. Each raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...
    def close(self, after: Case) -> bool: ...
    def escalate(self, after: Case) -> bool: ...
    def note_published(self, case: Case) -> None: ...
    def note_totals(self, case_id: str, totals: Totals) -> None: ...


class Steps(Protocol):
    """Reads steps. Raises Retryable where it cannot now."""

    def steps(self, case_id: str) -> list[Step]: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What concluding needs."""

    cases: Cases
    steps: Steps
    bus: Bus


def conclude(investigation: Investigation, desk: Desk, occasion: Occasion) -> End:
    """Closes the case with the verdict of its last step; again it changes nothing and answers the same.

    Raises Rejected where the last step is no verdict; Retryable, also where the bus did not take the event.
    """
    steps = desk.steps.steps(investigation.case_id)
    last = steps[-1] if steps else None
    if last is None or last.verdict is None:
        raise Rejected(f"INTERNAL: {investigation.case_id} has come to no verdict")
    case = _case(investigation, steps, desk)
    if not case.is_open:
        return _end_of(case)
    after = closed(case, last.verdict, closed_by=AGENT, role="agent", note=last.reasoning, occasion=occasion)
    if not desk.cases.close(after):
        raise Retryable(f"case {case.case_id} was changed by somebody else meanwhile")
    _publish(after, desk)
    return "closed"


def escalate(investigation: Investigation, reason: Reason, desk: Desk, occasion: Occasion) -> End:
    """Gives the case to a person, who is told why; again it changes nothing and answers the same. Raises Retryable."""
    steps = desk.steps.steps(investigation.case_id)
    case = _case(investigation, steps, desk)
    if not case.is_open:
        return _end_of(case)
    if case.escalated_at is not None:
        return "escalated"
    after = escalated(case, reason, occasion)
    if not desk.cases.escalate(after):
        raise Retryable(f"case {case.case_id} was changed by somebody else meanwhile")
    _publish(after, desk)
    return "escalated"


def _case(investigation: Investigation, steps: list[Step], desk: Desk) -> Case:
    """The case, with what it took on its row and the events before this moment out.

    Raises Rejected where there is no such case: an investigation that could not even open one has its alarm.
    """
    case = desk.cases.get(investigation.case_id)
    if case is None:
        raise Rejected(f"INTERNAL: there is no case {investigation.case_id}")
    _publish(case, desk)
    desk.cases.note_totals(case.case_id, totals(steps))
    return case


def _end_of(case: Case) -> End:
    return "closed" if case.closed_by_role == AGENT else "closed_before"


def _publish(case: Case, desk: Desk) -> None:
    publish_kept(case.event_to_publish, desk.bus, lambda _: desk.cases.note_published(case))
