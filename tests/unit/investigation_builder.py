"""Investigations and their steps, in memory and in moto; the steps' and the cases' fakes; agent_tools close at hand.

The fakes pass the real rows' contract (test_investigation_rows, test_case_rows). As in ``fake_adapters``, each calls
``faults`` with an operation's name before and after it has done its work.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from backbone.actions import Occasion
from backbone.case_rows import CaseRows
from backbone.cases import Case, opened
from backbone.contracts import event_id
from backbone.errors import Rejected, Retryable
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation, Outcome, Step, Totals, case_id_of
from backbone.json_objects import encode
from backbone.tool_calls import ToolReply, read_reply
from tests.unit.bank_builder import OWNER
from tests.unit.fake_adapters import Faults, no_faults
from tests.unit.lambda_events import Context
from tests.unit.resources import Resources

FLAG = event_id("TransactionFlagged", "TX-1")
CASE = case_id_of(FLAG)
CORRELATION = "order-1"
GOAL = "Decide whether transaction TX-1 of customer CUST-000042 was a fraud, and do what follows from it."
NOON = 1_767_268_800.0
AT_NOON = "2026-01-01T12:00:00.000Z"


def an_investigation(**changes: Any) -> Investigation:
    """The investigation of TX-1, which CUST-000042 paid with CARD-000042 at TERM-00001."""
    known = Investigation(
        case_id=CASE,
        transaction_id="TX-1",
        customer_id=OWNER,
        card_id="CARD-000042",
        terminal_id="TERM-00001",
        correlation_id=CORRELATION,
        causation_id=FLAG,
    )
    return replace(known, **changes)


def as_input(investigation: Investigation | None = None, **more: Any) -> dict[str, Any]:
    """What the state machine hands to a step: the investigation, and what else is named."""
    return {"investigation": encode(investigation or an_investigation())} | more


def a_step(number: int = 2, move: str = "review_card", **changes: Any) -> Step:
    """A look-up that was planned; with ``outcome`` or ``facts`` one that was observed too."""
    step = Step(
        case_id=CASE,
        number=number,
        kind="look_up",
        move=move,
        reasoning="The card's own payments come first.",
        planned_at=AT_NOON,
        tool=move,
        arguments={"transactionId": "TX-1"},
    )
    if {"outcome", "facts"} & changes.keys():
        changes = {"outcome": "done", "observed_at": AT_NOON} | changes
    return replace(step, **changes)


def the_first_step(*facts: str, **changes: Any) -> Step:
    """What was perceived: the flag, explained."""
    known: dict[str, Any] = {
        "kind": "perceive",
        "facts": facts or ("TX-1 was flagged: the amount is above the limit.",),
    }
    return a_step(1, "explain_flag", **known | changes)


def a_verdict(number: int, verdict: str, **changes: Any) -> Step:
    """The step that ends an investigation."""
    reasoning = "The card was blocked by an analyst's word."
    ended: dict[str, Any] = {
        "kind": "conclude",
        "verdict": verdict,
        "tool": None,
        "arguments": {},
        "reasoning": reasoning,
    }
    return a_step(number, f"verdict_{verdict}", **ended | changes)


def a_case(**changes: Any) -> Case:
    """The open case of the investigation, its goal set and its CaseOpened out."""
    case = Case(
        case_id=CASE,
        customer_id=OWNER,
        subject="Transaction TX-1 was flagged",
        kind="investigation",
        status="open",
        opened_by="agent",
        opened_by_role="agent",
        opened_at=AT_NOON,
        correlation_id=CORRELATION,
        transaction_id="TX-1",
        goal=GOAL,
    )
    return replace(case, **changes)


def an_unpublished_case() -> Case:
    """The case while the bus does not have its CaseOpened."""
    return opened(a_case(goal=None), Occasion(NOON, "perceive_transaction", causation_id=FLAG))


def a_reply(*facts: str, state: str = "done") -> str:
    """A tool's whole answer."""
    return json.dumps({"state": state, "facts": facts, "data": {}, "citations": []})


def put_investigation(resources: Resources, *steps: Step, case: Case | None = None, goal: str | None = GOAL) -> None:
    """The case in moto, as perceive_transaction and the state machine leave it, and steps as they stand."""
    dynamodb = resources.client("dynamodb")
    case_rows(resources).add(case or a_case())
    if goal is not None:
        dynamodb.update_item(
            TableName="cases",
            Key={"caseId": {"S": CASE}},
            UpdateExpression="SET goal = :goal",
            ExpressionAttributeValues={":goal": {"S": goal}},
        )
    rows = step_rows(resources)
    for step in steps:
        rows.add(step)
        if step.reply is not None:
            rows.acted(step.case_id, step.number, step.reply, step.action_id)
        if step.outcome is not None:
            rows.observe(step.case_id, step.number, step.outcome, step.facts, step.observed_at or AT_NOON)


def case_rows(resources: Resources) -> CaseRows:
    return CaseRows(resources.client("dynamodb"), "cases")


def step_rows(resources: Resources) -> InvestigationRows:
    return InvestigationRows(resources.client("dynamodb"), "investigation-steps")


@dataclass
class FakeSteps:
    """Steps in a dictionary, each write once."""

    kept: dict[tuple[str, int], Step] = field(default_factory=dict)
    faults: Faults = no_faults

    def steps(self, case_id: str) -> list[Step]:
        self.faults("steps")
        return [self.kept[key] for key in sorted(self.kept) if key[0] == case_id]

    def get(self, case_id: str, number: int) -> Step | None:
        self.faults("get step")
        return self.kept.get((case_id, number))

    def add(self, step: Step) -> Step:
        self.faults("add step")
        standing = self.kept.setdefault((step.case_id, step.number), step)
        self.faults("step added")
        return standing

    def acted(self, case_id: str, number: int, reply: str, action_id: str | None = None) -> Step:
        self.faults("act on step")
        step = self._planned(case_id, number)
        if step.reply is None:
            step = self.kept[case_id, number] = replace(step, reply=reply, action_id=action_id)
        self.faults("step acted on")
        return step

    def observe(self, case_id: str, number: int, outcome: Outcome, facts: tuple[str, ...], at: str) -> Step:
        self.faults("observe step")
        step = self._planned(case_id, number)
        if step.observed_at is None:
            step = self.kept[case_id, number] = replace(step, outcome=outcome, facts=facts, observed_at=at)
        self.faults("step observed")
        return step

    def _planned(self, case_id: str, number: int) -> Step:
        if (case_id, number) not in self.kept:
            raise Rejected(f"step {number} of {case_id} was never planned")
        return self.kept[case_id, number]


def steps_of(*steps: Step) -> FakeSteps:
    """These steps, kept."""
    return FakeSteps({(step.case_id, step.number): step for step in steps})


@dataclass
class FakeCases:
    """Cases in a dictionary, and what each investigation took."""

    kept: dict[str, Case] = field(default_factory=dict)
    totals: dict[str, Totals] = field(default_factory=dict)
    faults: Faults = no_faults

    def get(self, case_id: str) -> Case | None:
        self.faults("get case")
        return self.kept.get(case_id)

    def add(self, case: Case) -> Case:
        self.faults("add case")
        standing = self.kept.setdefault(case.case_id, replace(case, goal=None))
        self.faults("case added")
        return standing

    def close(self, after: Case) -> bool:
        return self._end("close case", after, lambda case: case.is_open and case.event_to_publish is None)

    def escalate(self, after: Case) -> bool:
        return self._end(
            "escalate case",
            after,
            lambda case: case.is_open and case.event_to_publish is None and case.escalated_at is None,
        )

    def note_published(self, case: Case) -> None:
        self.faults("note published")
        standing = self.kept.get(case.case_id)
        if standing is not None and standing.event_to_publish == case.event_to_publish:
            status = "closed" if case.status == "closing" else standing.status
            self.kept[case.case_id] = replace(standing, event_to_publish=None, status=status)
        self.faults("publishing noted")

    def note_totals(self, case_id: str, totals: Totals) -> None:
        self.faults("note totals")
        if case_id in self.kept:
            self.totals[case_id] = totals
        self.faults("totals noted")

    def _end(self, what: str, after: Case, may: Callable[[Case], bool]) -> bool:
        self.faults(what)
        standing = self.kept.get(after.case_id)
        if standing is None or not may(standing):
            return False
        self.kept[after.case_id] = after
        self.faults(f"{what}: done")
        return True


@dataclass
class FakeTools:
    """Answers ``replies`` in turn (the last one for ever), each a body or an exception; ``runs`` has what was asked."""

    replies: list[str | Exception] = field(default_factory=lambda: [a_reply("TX-1 was flagged.")])
    runs: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    faults: Faults = no_faults

    def run(self, tool: str, arguments: Mapping[str, str], attributes: Mapping[str, str]) -> ToolReply:
        self.faults("run tool")
        self.runs.append((tool, dict(arguments), dict(attributes)))
        said = self.replies[min(len(self.runs), len(self.replies)) - 1]
        if isinstance(said, Exception):
            raise said
        return read_reply(said)


@dataclass
class LambdaAtHand:
    """boto3's "lambda" with one function behind it, which runs here.

    ``handler`` is the function's resolver: Powertools' metrics are one set a process, and a handler empties it.
    """

    handler: Callable[[dict[str, Any], Context], dict[str, Any]]
    events: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert FunctionName == "agent-tools"
        self.events.append(json.loads(Payload))
        answer = self.handler(self.events[-1], Context())
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


@dataclass
class Killed:
    """Faults that kill a run at its calls ``at``, counted from 0 over all runs together."""

    at: frozenset[int]
    calls: int = 0

    def __call__(self, operation: str) -> None:
        self.calls += 1
        if self.calls - 1 in self.at:
            raise Retryable(f"killed at {operation}")
