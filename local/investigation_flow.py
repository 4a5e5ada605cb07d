"""The investigation flow: what agents do about flagged payments, and two made-up analysts who decide on it.

The analysts (``analysts``) decide by the simulation's truth, through the same API as anybody (`make cases`,
`make approve`). What an agent thinks and does is read where an analyst reads it: GET /cases/{caseId}.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backbone.investigations import case_id_of
from local.analysts import decide_by_truth, made_up_analysts
from local.api_client import ApiError, ask
from local.approvals import Approvals
from local.cases import Cases
from local.stack import Stack

# What the bus carries of an investigation, for the queue that is opened before the first payment is streamed.
EVENTS = (
    "TransactionFlagged",
    "CaseOpened",
    "ActionProposed",
    "ActionApproved",
    "ActionRejected",
    "CardBlocked",
    "TransactionReleased",
    "TransactionRefunded",
    "CaseEscalated",
    "CaseClosed",
)
_PATIENCE_SECONDS = 90.0
_BETWEEN_LOOKS_SECONDS = 0.2
_LINGER_SECONDS = 3.0

type Json = dict[str, Any]
# approval: an analyst approved what the agent proposed, and the case is closed as a fraud. release: the agent released
# the payment by itself. person: the case is a person's now, whatever the reason.
type Ending = Literal["approval", "release", "person"]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A flagged payment that wakes an investigation, with its truth."""

    transaction_id: str
    flag_event_id: str
    is_fraud: bool

    @property
    def case_id(self) -> str:
        return case_id_of(self.flag_event_id)


@dataclass
class Investigated:
    """A suspect, and what became of it: the case as an analyst sees it, and the decisions that were made on it."""

    suspect: Suspect
    case: Json = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    told_steps: int = 0

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it goes on."""
        if self.case.get("status") == "closed":
            return "approval" if self.case["outcome"] == "confirmed_fraud" else "release"
        return "person" if "escalatedBecause" in self.case else None


@dataclass
class Investigations:
    """All that were played, and the events that the bus carried, each with its time (epoch seconds)."""

    played: list[Investigated]
    events: list[tuple[float, Json]] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What must have happened and did not."""
        found = [
            f"the investigation of {one.suspect.transaction_id} has no end" for one in self.played if not one.ending
        ]
        endings = {one.ending for one in self.played}
        if "approval" not in endings:
            found.append("no investigation ended by an analyst's approval")
        if not endings & {"release", "person"}:
            found.append("no investigation ended without one")
        closed = [one.suspect.case_id for one in self.played if one.ending in ("approval", "release")]
        counts = {one: self._count("CaseClosed", one) for one in closed}
        return found + [f"CaseClosed came {n} times about case {one}" for one, n in counts.items() if n != 1]

    def _count(self, kind: str, case_id: str) -> int:
        return sum(
            event["detail-type"] == kind and event["detail"]["data"].get("caseId") == case_id
            for _, event in self.events
        )


def play_investigations(
    stack: Stack,
    suspects: Sequence[Suspect],
    queue: str,
    *,
    on_step: Callable[[Investigated, Json], None],
    on_decision: Callable[[Investigated, Json, str], None],
    on_end: Callable[[Investigated], None],
) -> Investigations:
    """Follows the investigations of ``suspects`` to their ends and decides on what waits; the callbacks tell of it.

    ``queue`` (URL) holds the events of ``EVENTS`` since before the suspects were streamed.
    """
    played = [Investigated(suspect) for suspect in suspects]
    desks = made_up_analysts(stack)
    cases = Cases(ask, stack.outputs["CasesUrl"], desks[0].token)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(one.ending is None for one in played) and time.monotonic() < deadline:
        for one in played:
            if one.ending is None and _look(one, cases, on_step):
                on_end(one)
        _decide(played, desks, on_decision)
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    closed = sum(one.ending in ("approval", "release") for one in played)
    return Investigations(played, _events(stack, queue, {one.suspect.case_id for one in played}, closed))


def _look(one: Investigated, cases: Cases, on_step: Callable[[Investigated, Json], None]) -> bool:
    """Looks at a case and tells its new steps; whether it has come to its end."""
    try:
        one.case = dict(cases.look_at(one.suspect.case_id))
    except ApiError:
        return False  # it was not opened yet
    steps = one.case["investigation"]["steps"]
    seen = [step for step in steps if "outcome" in step or "verdict" in step or step["move"] == "ask_person"]
    for step in seen[one.told_steps :]:
        on_step(one, step)
    one.told_steps = max(one.told_steps, len(seen))
    return one.ending is not None


def _decide(
    played: Sequence[Investigated], desks: Sequence[Approvals], on_decision: Callable[[Investigated, Json, str], None]
) -> None:
    """Decides on all that waits for these cases, by their truth."""
    by_case = {one.suspect.case_id: one for one in played}
    is_fraud = {case_id: one.suspect.is_fraud for case_id, one in by_case.items()}
    for action, status in decide_by_truth(desks, is_fraud, "Played by the demo."):
        if status is not None:
            one = by_case[action["caseId"]]
            one.decisions.append(f"{action['action']}: {status}")
            on_decision(one, dict(action), status)


def _events(stack: Stack, queue: str, case_ids: set[str], closed: int) -> list[tuple[float, Json]]:
    """What the bus carried, in order of time, until every closed case's end is among it, or patience ends."""
    sqs, found = stack.client("sqs"), list[tuple[float, Json]]()
    deadline = time.monotonic() + _LINGER_SECONDS
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0, AttributeNames=["SentTimestamp"]
        )
        messages = answer.get("Messages", [])
        for message in messages:
            found.append((int(message["Attributes"]["SentTimestamp"]) / 1000, json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        ends = {event["detail"]["data"]["caseId"] for _, event in found if event["detail-type"] == "CaseClosed"}
        if not messages and (len(ends & case_ids) >= closed or time.monotonic() > deadline):
            return sorted(found, key=lambda one: one[0])
        if not messages:
            time.sleep(_BETWEEN_LOOKS_SECONDS)
