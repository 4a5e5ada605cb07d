"""A hundred flags at once: each investigation comes to exactly one end, also when functions are killed at random.

``INVESTIGATIONS`` sets how many. A third of what is proposed is approved, a third rejected, and nobody decides on the
rest, which expires.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import pytest

from backbone.investigations import case_id_of
from local.api_client import ask
from local.process import EngineProcess
from tests.stack.deployed import Stack, a_transaction, now, same_card
from tests.stack.investigations import MUCH, decide, put_card, send_alert
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_approvals import set_expiry
from tests.stack.test_chat_load import killing
from tests.stack.test_documents_api import Somebody, somebody
from tests.stack.test_investigations import configured_queue
from transaction import Transaction

INVESTIGATIONS = int(os.environ.get("INVESTIGATIONS", "100"))
SECONDS = 300.0
FUNCTIONS = (
    "StartInvestigationFunction",
    "PerceiveTransactionFunction",
    "PlanNextActionFunction",
    "ActOnPlanFunction",
    "RequestActionFunction",
    "ResumeInvestigationFunction",
    "ObserveOutcomeFunction",
    "ConcludeCaseFunction",
)
ENDS = ("CaseClosed", "CaseEscalated")
# To its runtime, and to one service at least.
SOCKETS_OF_WORK = 2


@pytest.fixture(scope="module")
def approvals(stack: Stack, engine: EngineProcess) -> str:
    return f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/approvals"


@pytest.fixture(scope="module")
def analysts(stack: Stack) -> tuple[Somebody, Somebody]:
    return somebody(stack, "analyst"), somebody(stack, "analyst")


def frauds(stack: Stack) -> list[Transaction]:
    """Payments of nine thousand with registered cards that paid twenty before, on the stream."""
    made = []
    for _ in range(INVESTIGATIONS):
        before = a_transaction(occurred_at=now() - 30_000, terminal_id=f"TERM-{uuid4().hex[:8]}")
        fraud = same_card(before, amount_minor=MUCH, terminal_id=before.terminal_id)
        put_card(stack, fraud.card_id, fraud.customer_id)
        stack.put(before)
        made.append(fraud)
    stack.put(*made)
    return made


def flags_of(bus: BusObserver, transactions: Sequence[Transaction]) -> dict[str, Envelope]:
    """The flags of these payments so far, by case."""
    wanted = {one.transaction_id for one in transactions}
    return {
        case_id_of(event["detail"]["metadata"]["eventId"]): event
        for event in bus.seen
        if event["detail-type"] == "TransactionFlagged" and event["detail"]["data"]["transactionId"] in wanted
    }


def ends_of(bus: BusObserver) -> dict[str, Counter[str]]:
    """By case how often each of its ends was told; an event that is published twice counts once."""
    told = {
        event["detail"]["metadata"]["eventId"]: (event["detail"]["data"]["caseId"], event["detail-type"])
        for event in bus.seen
        if event["detail-type"] in ENDS
    }
    ends: dict[str, Counter[str]] = {}
    for case_id, kind in told.values():
        ends.setdefault(case_id, Counter())[kind] += 1
    return ends


def play(
    stack: Stack, bus: BusObserver, approvals: str, analysts: tuple[Somebody, Somebody]
) -> tuple[dict[str, Envelope], Counter[str]]:
    """Streams the payments and decides until every case has an end; answers the flags by case, and the decisions."""
    transactions, decided = frauds(stack), Counter[str]()
    deadline, handled = time.monotonic() + SECONDS, set[str]()
    while True:
        bus.poll()
        flags = flags_of(bus, transactions)
        if len(flags) == INVESTIGATIONS and flags.keys() <= ends_of(bus).keys():
            return flags, decided
        assert time.monotonic() < deadline, f"{len(flags)} flags, {len(flags.keys() & ends_of(bus).keys())} ends"
        for action in _waiting(approvals, analysts[0].token):
            if action.get("caseId") in flags and action["actionId"] not in handled:
                handled.add(action["actionId"])
                decided[_decide(stack, approvals, analysts, action)] += 1


def _waiting(approvals: str, token: str) -> list[dict[str, Any]]:
    status, answer = ask("GET", approvals, token)
    assert status == 200, answer
    waiting: list[dict[str, Any]] = answer["actions"]
    return waiting


def _decide(stack: Stack, approvals: str, analysts: Sequence[Somebody], action: dict[str, Any]) -> str:
    """Approves, rejects, or lets expire, by the action's id."""
    choice = ("approve", "reject", "expire")[int(action["actionId"][0], 16) % 3]
    if choice == "expire":
        set_expiry(stack, action["actionId"], 1)
        stack.client("lambda").invoke(
            FunctionName=stack.resource("ExpireActionsFunction"), InvocationType="Event", Payload=b"{}"
        )
        return choice
    for analyst in analysts[: action["approvalsNeeded"] if choice == "approve" else 1]:
        assert decide(approvals, analyst.token, action["actionId"], choice) == 200
    return choice


def assert_each_ended_once(stack: Stack, bus: BusObserver, flags: dict[str, Envelope]) -> None:
    """By the bus's account, the rows' and Step Functions' alike."""
    rows = stack.items("CasesTableName", "caseId")
    for case_id in flags:
        ends = ends_of(bus)[case_id]
        assert sum(ends.values()) == 1, (case_id, ends)
        is_closed = rows[case_id]["status"] in ("closing", "closed")
        assert is_closed == (ends["CaseClosed"] == 1)
        assert is_closed != ("escalatedAt" in rows[case_id])
    machine = stack.outputs["InvestigateTransactionStateMachineArn"]
    pages = stack.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
    executions = Counter(one["name"] for page in pages for one in page["executions"])
    names = [flag["detail"]["metadata"]["eventId"] for flag in flags.values()]
    assert {name: executions[name] for name in names} == dict.fromkeys(names, 1)
    assert stack.depth("DecisionsDeadLetterQueue") == 0


@pytest.mark.timeout(500)
def test_hundred_flags_at_once_come_to_one_end_each_and_alerts_that_come_again_start_nothing(
    stack: Stack, bus: BusObserver, approvals: str, analysts: tuple[Somebody, Somebody]
) -> None:
    dead = stack.depth("InvestigationsDeadLetterQueue")
    began = time.monotonic()
    flags, decided = play(stack, bus, approvals, analysts)
    took = time.monotonic() - began
    for flag in list(flags.values())[:20]:
        send_alert(stack, flag)
    while stack.depth("InvestigationsQueue"):
        bus.poll()
    assert_each_ended_once(stack, bus, flags)
    assert stack.depth("InvestigationsDeadLetterQueue") == dead
    print(f"\n{len(flags)} flags at once: all ended in {took:.1f} s; decisions {dict(decided)}")  # noqa: T201 - figures


@contextmanager
def killing_all(stack: Stack) -> Iterator[list[list[int]]]:
    """Kills working processes of each of the investigation's functions; yields who died, a list a function."""
    with ExitStack() as killers:
        for queue in ("InvestigationsQueue", "DecisionsQueue"):  # or what a killed one held comes again after minutes
            killers.enter_context(configured_queue(stack, queue, VisibilityTimeout="15"))
        yield [
            killers.enter_context(killing(stack, name, every=0.7, times=8, sockets=SOCKETS_OF_WORK))
            for name in FUNCTIONS
        ]


@pytest.mark.timeout(500)
def test_hundred_flags_at_once_come_to_one_end_each_while_functions_are_killed(
    stack: Stack, bus: BusObserver, approvals: str, analysts: tuple[Somebody, Somebody]
) -> None:
    with killing_all(stack) as killed:
        flags, decided = play(stack, bus, approvals, analysts)
    assert_each_ended_once(stack, bus, flags)
    died = sum(map(len, killed))
    print(f"\n{died} processes killed; {len(flags)} flags ended once each; {dict(decided)}")  # noqa: T201 - figures
    assert died > len(FUNCTIONS)
