"""Perceiving: the case is opened, and what is known of the flag becomes the first facts.

Knows no AWS: where cases and steps are kept, the tools and the bus are arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backbone.actions import Occasion
from backbone.cases import Case, opened
from backbone.contracts import timestamp
from backbone.investigations import AGENT, FIRST_STEP, Investigation, Outcome, Step, observed, session_attributes
from backbone.outbox import Bus, publish_kept
from backbone.tool_calls import ToolReply, read_reply

TOOL = "explain_flag"


class Cases(Protocol):
    """Keeps cases. Each raises Retryable where it cannot now."""

    def add(self, case: Case) -> Case: ...
    def note_published(self, case: Case) -> None: ...


class Steps(Protocol):
    """Keeps steps, each write once. Each raises Retryable where it cannot now."""

    def add(self, step: Step) -> Step: ...
    def acted(self, case_id: str, number: int, reply: str) -> Step: ...
    def observe(self, case_id: str, number: int, outcome: Outcome, facts: tuple[str, ...], at: str) -> Step: ...


class Tools(Protocol):
    """Runs a tool. Raises Retryable where it cannot now."""

    def run(self, tool: str, arguments: Mapping[str, str], attributes: Mapping[str, str]) -> ToolReply: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What perceiving needs."""

    cases: Cases
    steps: Steps
    tools: Tools
    bus: Bus


def perceive(investigation: Investigation, desk: Desk, occasion: Occasion) -> bool:
    """Opens the case and has the flag explained; False where the transaction is not there any more.

    Again it changes nothing and answers the same. Raises Retryable.
    """
    case = desk.cases.add(_case(investigation, occasion))
    publish_kept(case.event_to_publish, desk.bus, lambda _: desk.cases.note_published(case))
    step = desk.steps.add(_first_step(investigation, occasion))
    if step.reply is None:
        ran = desk.tools.run(TOOL, step.arguments, session_attributes(investigation, FIRST_STEP))
        step = desk.steps.acted(investigation.case_id, FIRST_STEP, ran.text)
    if step.outcome is None and step.reply is not None:
        reply = read_reply(step.reply)  # the facts are those of the answer that is kept, whatever a second one said
        outcome, facts = observed(reply.state, reply.facts)
        step = desk.steps.observe(investigation.case_id, FIRST_STEP, outcome, facts, timestamp(occasion.now))
    return step.outcome == "done"


def _case(investigation: Investigation, occasion: Occasion) -> Case:
    case = Case(
        case_id=investigation.case_id,
        customer_id=investigation.customer_id,
        subject=f"Transaction {investigation.transaction_id} was flagged",
        kind="investigation",
        status="open",
        opened_by=AGENT,
        opened_by_role=AGENT,
        opened_at=timestamp(occasion.now),
        correlation_id=investigation.correlation_id,
        transaction_id=investigation.transaction_id,
        causation_depth=investigation.causation_depth,
    )
    return opened(case, occasion)


def _first_step(investigation: Investigation, occasion: Occasion) -> Step:
    return Step(
        case_id=investigation.case_id,
        number=FIRST_STEP,
        kind="perceive",
        move=TOOL,
        reasoning=f"Transaction {investigation.transaction_id} was flagged: what is known of it comes first.",
        planned_at=timestamp(occasion.now),
        tool=TOOL,
        arguments={"transactionId": investigation.transaction_id},
    )
