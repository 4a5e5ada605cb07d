"""Investigations on the deployed stack: a flag wakes an agent, people decide on what it proposes, the case ends."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from backbone.investigations import case_id_of
from local.api_client import ask
from local.process import EngineProcess
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, iam_decision, table_arn
from tests.stack.investigations import (
    a_false_alarm,
    a_flag,
    a_fraud,
    case_of,
    decide,
    ended,
    event_of,
    events_of,
    send_alert,
    steps_of,
)
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_approvals import set_expiry
from tests.stack.test_documents_api import Somebody, somebody


@dataclass(frozen=True)
class Desk:
    """Two analysts, a customer, and the addresses of the API."""

    anna: Somebody
    ben: Somebody
    customer: Somebody
    approvals: str
    cases: str

    def approve(self, action_id: str) -> None:
        """By as many analysts as must."""
        assert decide(self.approvals, self.anna.token, action_id, "approve") == 200
        if ask("GET", f"{self.approvals}/{action_id}", self.anna.token)[1]["status"] == "half_approved":
            assert decide(self.approvals, self.ben.token, action_id, "approve") == 200


@pytest.fixture(scope="module")
def desk(stack: Stack, engine: EngineProcess) -> Desk:
    api = f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_"
    customer = somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}")
    analysts = somebody(stack, "analyst"), somebody(stack, "analyst")
    return Desk(*analysts, customer, f"{api}/approvals", f"{api}/cases")


@contextmanager
def configured_queue(stack: Stack, logical_id: str, **attributes: str) -> Iterator[None]:
    """A queue of the stack with other attributes for as long as this lasts."""
    sqs, url = stack.client("sqs"), stack.resource(logical_id)
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(attributes))["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.fixture
def switch(stack: Stack) -> Iterator[str]:
    """The parameter that pauses agents; on again at the end."""
    name = stack.outputs["AutonomySwitchName"]
    yield name
    stack.client("ssm").put_parameter(Name=name, Value="on", Overwrite=True)


def is_customers(kind: str, customer_id: str) -> Callable[[Envelope], bool]:
    """Matches the ``kind`` events of one customer."""
    return lambda event: event["detail-type"] == kind and event["detail"]["data"].get("customerId") == customer_id


def test_fraud_is_investigated_approved_carried_out_and_closed_once(stack: Stack, bus: BusObserver, desk: Desk) -> None:
    fraud = a_fraud(stack, bus)
    opened = event_of(bus, "CaseOpened", fraud.case_id)
    block = event_of(bus, "ActionProposed", fraud.case_id, action="block_card")
    desk.approve(block["detail"]["data"]["actionId"])
    refund = event_of(bus, "ActionProposed", fraud.case_id, action="refund")
    desk.approve(refund["detail"]["data"]["actionId"])
    closed = event_of(bus, "CaseClosed", fraud.case_id)

    said = closed["detail"]["data"]
    assert (said["outcome"], said["closedBy"], said["openedBy"]) == ("confirmed_fraud", "agent", "agent")
    assert said["transactionId"] == fraud.transaction.transaction_id
    assert ended(stack, fraud.event)["status"] == "SUCCEEDED"
    for kind in ("CardBlocked", "TransactionRefunded"):
        bus.wait_for(is_customers(kind, fraud.transaction.customer_id), kind)
    row = case_of(stack, fraud.case_id)
    assert row["goal"].startswith(f"Decide whether transaction {fraud.transaction.transaction_id}")
    assert int(row["steps"]) == len(steps_of(stack, fraud.case_id))
    correlations = {
        event["detail"]["metadata"]["correlationId"] for event in (fraud.event, opened, block, refund, closed)
    }
    assert len(correlations) == 1
    assert events_of(bus, fraud.case_id).count("CaseClosed") == 1


def test_every_step_is_on_record_with_reasoning_evidence_facts_and_cost(
    stack: Stack, bus: BusObserver, desk: Desk
) -> None:
    fraud = a_fraud(stack, bus)
    event_of(bus, "ActionProposed", fraud.case_id, action="block_card")

    _, view = ask("GET", f"{desk.cases}/{fraud.case_id}", desk.anna.token)

    steps = view["investigation"]["steps"]
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert (steps[0]["move"], steps[0]["outcome"]) == ("explain_flag", "done")
    assert steps[-1]["move"] == "block_card"
    known = {identity for step in steps for identity in step["facts"]}
    for step in steps[1:]:
        assert step["reasoning"]
        assert step["evidence"]
        assert set(step["evidence"]) <= known
    assert view["investigation"]["inputTokens"] > 0
    status, hidden = ask("GET", f"{desk.cases}/{fraud.case_id}", desk.customer.token)
    assert (status, "investigation" in hidden) == (404, False)


def test_false_alarm_is_released_by_the_agent_and_closed_as_genuine_without_anybody(
    stack: Stack, bus: BusObserver
) -> None:
    alarm = a_false_alarm(stack, bus)
    closed = event_of(bus, "CaseClosed", alarm.case_id)
    assert closed["detail"]["data"]["outcome"] == "genuine"
    released = [
        event for event in bus.about(alarm.transaction.transaction_id) if event["detail-type"] == "TransactionReleased"
    ]
    assert len(released) == 1
    assert "ActionProposed" not in events_of(bus, alarm.case_id)


def test_what_an_analyst_rejects_is_not_done_and_the_case_is_a_persons(
    stack: Stack, bus: BusObserver, desk: Desk
) -> None:
    fraud = a_fraud(stack, bus)
    block = event_of(bus, "ActionProposed", fraud.case_id, action="block_card")
    assert decide(desk.approvals, desk.anna.token, block["detail"]["data"]["actionId"], "reject") == 200
    escalated = event_of(bus, "CaseEscalated", fraud.case_id)
    assert escalated["detail"]["data"]["reason"] == "rejected"
    assert ended(stack, fraud.event)["status"] == "SUCCEEDED"
    assert not {"CardBlocked", "CaseClosed"} & set(events_of(bus, fraud.case_id))
    assert case_of(stack, fraud.case_id)["status"] == "open"


def test_what_nobody_decides_on_expires_to_a_rejection(stack: Stack, bus: BusObserver) -> None:
    fraud = a_fraud(stack, bus)
    block = event_of(bus, "ActionProposed", fraud.case_id, action="block_card")
    set_expiry(stack, block["detail"]["data"]["actionId"], 1)
    stack.client("lambda").invoke(FunctionName=stack.resource("ExpireActionsFunction"), Payload=b"{}")
    rejected = event_of(bus, "ActionRejected", fraud.case_id)
    assert rejected["detail"]["data"]["cause"] == "expired"
    assert event_of(bus, "CaseEscalated", fraud.case_id)["detail"]["data"]["reason"] == "expired"


def test_alert_that_comes_again_starts_nothing_twice(stack: Stack, bus: BusObserver) -> None:
    alarm = a_false_alarm(stack, bus)
    event_of(bus, "CaseClosed", alarm.case_id)
    before = steps_of(stack, alarm.case_id)
    for _ in range(3):
        send_alert(stack, alarm.event)
    wait_until(lambda: stack.depth("InvestigationsQueue") == 0, 30, "the alerts are taken")
    assert steps_of(stack, alarm.case_id) == before
    kinds = events_of(bus, alarm.case_id)
    assert [kinds.count(kind) for kind in ("CaseOpened", "CaseClosed")] == [1, 1]


def test_paused_agents_do_nothing_and_people_get_the_cases(
    stack: Stack, bus: BusObserver, desk: Desk, switch: str
) -> None:
    stack.client("ssm").put_parameter(Name=switch, Value="paused", Overwrite=True)
    fraud = a_fraud(stack, bus)
    assert event_of(bus, "CaseEscalated", fraud.case_id)["detail"]["data"]["reason"] == "paused"
    assert len(steps_of(stack, fraud.case_id)) == 1
    _, view = ask("GET", f"{desk.cases}/{fraud.case_id}", desk.anna.token)
    assert view["escalatedBecause"] == "paused"
    status, _ = ask("POST", f"{desk.cases}/{fraud.case_id}/close", desk.anna.token, {"outcome": "confirmed_fraud"})
    assert status == 200
    assert event_of(bus, "CaseClosed", fraud.case_id)["detail"]["data"]["closedBy"] == "analyst"


def test_case_that_an_analyst_closes_meanwhile_is_left_alone(stack: Stack, bus: BusObserver, desk: Desk) -> None:
    fraud = a_fraud(stack, bus)
    block = event_of(bus, "ActionProposed", fraud.case_id, action="block_card")
    assert ask("POST", f"{desk.cases}/{fraud.case_id}/close", desk.anna.token, {"outcome": "genuine"})[0] == 200
    assert decide(desk.approvals, desk.anna.token, block["detail"]["data"]["actionId"], "reject") == 200
    assert ended(stack, fraud.event)["status"] == "SUCCEEDED"
    assert case_of(stack, fraud.case_id)["outcome"] == "genuine"
    assert events_of(bus, fraud.case_id).count("CaseClosed") == 1


def test_flag_at_the_end_of_a_long_chain_of_events_goes_to_operations_and_wakes_nobody(
    stack: Stack, bus: BusObserver
) -> None:
    dead = stack.queue("InvestigationsDeadLetterQueue")
    deep = a_flag(causationDepth=20)
    event_id = deep["detail"]["metadata"]["eventId"]
    with configured_queue(stack, "InvestigationsQueue", VisibilityTimeout="1"):
        send_alert(stack, deep)
        found = wait_until(
            lambda: [message for message in dead.receive(1) if event_id in message["Body"]], 60, "the dead letter"
        )
    assert len(found) == 1
    assert events_of(bus, case_id_of(event_id)) == []


def test_flag_of_a_payment_that_is_gone_fails_and_a_person_has_the_case(stack: Stack, bus: BusObserver) -> None:
    flag = a_flag()
    send_alert(stack, flag)
    said = ended(stack, flag)
    assert (said["status"], said["error"]) == ("FAILED", "not_found")
    case_id = case_id_of(flag["detail"]["metadata"]["eventId"])
    assert event_of(bus, "CaseEscalated", case_id)["detail"]["data"]["reason"] == "not_found"


@pytest.mark.parametrize("forger", ["customer", "nobody"])
def test_only_analysts_decide_on_what_an_agent_proposes_and_attempts_are_on_record(
    stack: Stack, bus: BusObserver, desk: Desk, forger: str
) -> None:
    fraud = a_fraud(stack, bus)
    action_id = event_of(bus, "ActionProposed", fraud.case_id, action="block_card")["detail"]["data"]["actionId"]
    _, view = ask("GET", f"{desk.approvals}/{action_id}", desk.anna.token)
    token = desk.customer.token if forger == "customer" else None
    status, _ = ask("POST", f"{desk.approvals}/{action_id}", token, {"decision": "approve", "seen": view["seen"]})
    assert status in (401, 403)
    _, after = ask("GET", f"{desk.approvals}/{action_id}", desk.anna.token)
    assert after["status"] == "proposed"
    tried = [attempt["outcome"] for attempt in after["attempts"]]
    assert tried == (["wrong_group"] if forger == "customer" else [])
    assert decide(desk.approvals, desk.anna.token, action_id, "reject") == 200


def test_approval_of_one_case_does_nothing_for_another(stack: Stack, bus: BusObserver, desk: Desk) -> None:
    one, other = a_fraud(stack, bus), a_fraud(stack, bus)
    first, second = (
        event_of(bus, "ActionProposed", fraud.case_id, action="block_card")["detail"]["data"]["actionId"]
        for fraud in (one, other)
    )
    _, view = ask("GET", f"{desk.approvals}/{first}", desk.anna.token)
    foreign = {"decision": "approve", "seen": view["seen"]}
    assert ask("POST", f"{desk.approvals}/{second}", desk.anna.token, foreign)[0] == 409
    desk.approve(first)
    event_of(bus, "ActionProposed", one.case_id, action="refund")
    assert [step.outcome for step in steps_of(stack, other.case_id) if step.move == "block_card"] == [None]
    assert decide(desk.approvals, desk.anna.token, second, "reject") == 200


@pytest.mark.parametrize(
    ("role", "action", "table"),
    [
        ("PlanNextActionRole", "dynamodb:UpdateItem", "InvestigationStepsTable"),
        ("PlanNextActionRole", "dynamodb:UpdateItem", "CasesTable"),
        ("ActOnPlanRole", "dynamodb:PutItem", "InvestigationStepsTable"),
        ("ActOnPlanRole", "dynamodb:UpdateItem", "CardsTable"),
        ("ObserveOutcomeRole", "dynamodb:UpdateItem", "ActionsTable"),
        ("ConcludeCaseRole", "dynamodb:PutItem", "CasesTable"),
        ("ConcludeCaseRole", "dynamodb:UpdateItem", "TransactionsTable"),
        ("AgentToolsRole", "dynamodb:UpdateItem", "InvestigationStepsTable"),
        ("AgentToolsRole", "dynamodb:GetItem", "ActionTokensTable"),
        ("StartInvestigationRole", "dynamodb:PutItem", "CasesTable"),
    ],
)
def test_no_step_may_do_anothers_work(stack: Stack, role: str, action: str, table: str) -> None:
    assert iam_decision(stack, role, action, table_arn(stack, table)) == "implicitDeny"
