"""Approvals on the deployed stack: analysts decide on a proposed block, once, in time, on record; then it is done."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backbone import contracts
from local.api_client import ask
from local.approvals import signed_in
from local.people import user_pool
from local.process import EngineProcess
from tests.engine.waiting import wait_until
from tests.stack.agent_tools_calls import tool_said
from tests.stack.deployed import Stack, iam_decision, now, table_arn
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_documents_api import Somebody, somebody
from tests.stack.test_failures import denied


@dataclass(frozen=True)
class Proposal:
    """A block that a customer asked for, and that waits."""

    action_id: str
    card_id: str
    customer_id: str


@dataclass(frozen=True)
class Approvals:
    """The path-shaped local address of the API; on AWS it is the output ApprovalsUrl."""

    stack: Stack
    url: str

    def look(self, analyst: Somebody, action_id: str) -> dict[str, Any]:
        status, view = ask("GET", f"{self.url}/{action_id}", analyst.token)
        assert status == 200, view
        seen: dict[str, Any] = view
        return seen

    def send(self, token: str | None, action_id: str, decision: str, seen: str) -> int:
        """The status of the answer."""
        return ask("POST", f"{self.url}/{action_id}", token, {"decision": decision, "seen": seen})[0]

    def decide(self, analyst: Somebody, action_id: str, decision: str) -> int:
        """A decision on what is seen now."""
        return self.send(analyst.token, action_id, decision, self.look(analyst, action_id)["seen"])

    def outcomes(self, analyst: Somebody, action_id: str) -> list[str]:
        """What came of everybody's attempts, oldest first."""
        return [attempt["outcome"] for attempt in reversed(self.look(analyst, action_id)["attempts"])]


@pytest.fixture(scope="module")
def approvals(stack: Stack, engine: EngineProcess) -> Approvals:
    return Approvals(stack, f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/approvals")


@dataclass(frozen=True)
class People:
    """Two analysts, and the customer whose cards they are."""

    anna: Somebody
    ben: Somebody
    customer: Somebody


@pytest.fixture(scope="module")
def people(stack: Stack) -> People:
    customer = somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}")
    return People(somebody(stack, "analyst"), somebody(stack, "analyst"), customer)


def person_id(stack: Stack, person: Somebody) -> str:
    """The id in the user pool, which is what a session says."""
    answer = stack.client("cognito-idp").admin_get_user(UserPoolId=stack.outputs["UserPoolId"], Username=person.name)
    return next(str(one["Value"]) for one in answer["UserAttributes"] if one["Name"] == "sub")


def a_card(stack: Stack, customer_id: str, spent: int) -> str:
    """A card of a customer's with which ``spent`` minor units were paid this hour."""
    fresh, dynamodb = uuid.uuid4().hex[:12], stack.client("dynamodb")
    texts = {"cardId": f"CARD-{fresh}", "customerId": customer_id, "status": "active", "label": "Debit card"}
    item = {name: {"S": value} for name, value in texts.items()} | {"version": {"N": "1"}}
    dynamodb.put_item(TableName=stack.outputs["CardsTableName"], Item=item)
    texts = {"transactionId": f"TX-{fresh}", "cardId": f"CARD-{fresh}", "customerId": customer_id, "currency": "EUR"}
    numbers = {"amountMinor": spent, "occurredAt": now() - 60}
    item = {name: {"S": value} for name, value in texts.items()}
    item |= {name: {"N": str(value)} for name, value in numbers.items()}
    dynamodb.put_item(TableName=stack.outputs["TransactionsTableName"], Item=item)
    return f"CARD-{fresh}"


def ask_to_block(
    stack: Stack, card_id: str, customer_id: str, *, asker: str = "customer-1", role: str = "customer"
) -> Proposal:
    """block_card of agent_tools, as answer_chat invokes it after the person's yes."""
    arguments = {"cardId": card_id, "reason": "stolen"}
    body = tool_said(stack, "block_card", arguments, customer_id=customer_id, about=card_id, person_id=asker, role=role)
    assert body["state"] == "proposed", body
    return Proposal(body["data"]["action"]["actionId"], card_id, customer_id)


@pytest.fixture
def propose(stack: Stack, people: People) -> Callable[..., Proposal]:
    """A new card of the customer's, and that somebody asks to block it."""

    def proposed(spent: int = 120_000, **asker: str) -> Proposal:
        return ask_to_block(
            stack, a_card(stack, people.customer.customer_id, spent), people.customer.customer_id, **asker
        )

    return proposed


def about(detail_type: str, action_id: str) -> Callable[[Envelope], bool]:
    return lambda event: event["detail-type"] == detail_type and event["detail"]["data"].get("actionId") == action_id


def card_of(stack: Stack, card_id: str) -> dict[str, Any]:
    key = {"cardId": {"S": card_id}}
    table = stack.outputs["CardsTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def row_of(stack: Stack, action_id: str) -> dict[str, Any]:
    key = {"actionId": {"S": action_id}}
    table = stack.outputs["ActionsTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def set_expiry(stack: Stack, action_id: str, seconds: int) -> None:
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["ActionsTableName"],
        Key={"actionId": {"S": action_id}},
        UpdateExpression="SET expiresAt = :at",
        ExpressionAttributeValues={":at": {"N": str(seconds)}},
    )


def test_customer_proposes_an_analyst_approves_and_the_card_is_blocked(
    stack: Stack, bus: BusObserver, approvals: Approvals, propose: Callable[..., Proposal], people: People
) -> None:
    proposal = propose()
    proposed = bus.wait_for(about("ActionProposed", proposal.action_id), "ActionProposed")
    _, listed = ask("GET", approvals.url, people.anna.token)
    assert proposal.action_id in [action["actionId"] for action in listed["actions"]]
    view = approvals.look(people.anna, proposal.action_id)
    assert (view["cardLabel"], view["amountMinor"], view["canBeDecided"]) == ("Debit card", 120_000, True)
    assert card_of(stack, proposal.card_id)["status"] == "active"

    assert approvals.decide(people.anna, proposal.action_id, "approve") == 200

    approved = bus.wait_for(about("ActionApproved", proposal.action_id), "ActionApproved")
    blocked = bus.wait_for(about("CardBlocked", proposal.action_id), "CardBlocked")
    for event in (proposed, approved, blocked):
        name = f"{event['source']}/{event['detail-type']}.v1"
        assert contracts.violation(name, event["detail"]) is None
        assert event["detail"]["metadata"]["correlationId"] == f"chat-{proposal.card_id}"
    assert approved["detail"]["data"]["decidedBy"] == [person_id(stack, people.anna)]
    assert approved["detail"]["metadata"]["causationId"] == proposed["detail"]["metadata"]["eventId"]
    assert blocked["detail"]["metadata"]["causationId"] == approved["detail"]["metadata"]["eventId"]
    assert blocked["detail"]["data"]["blockedBy"] == "analyst"
    assert card_of(stack, proposal.card_id)["status"] == "blocked"
    wait_until(lambda: row_of(stack, proposal.action_id)["status"] == "done", 30, "the action done")


def test_analyst_rejects_and_nothing_is_done(
    stack: Stack, bus: BusObserver, approvals: Approvals, propose: Callable[..., Proposal], people: People
) -> None:
    proposal = propose()
    assert approvals.decide(people.anna, proposal.action_id, "reject") == 200
    rejected = bus.wait_for(about("ActionRejected", proposal.action_id), "ActionRejected")
    assert contracts.violation("backbone.agent/ActionRejected.v1", rejected["detail"]) is None
    assert rejected["detail"]["data"]["cause"] == "rejected"
    assert card_of(stack, proposal.card_id)["status"] == "active"


def test_two_analysts_must_approve_where_much_is_at_stake(
    stack: Stack,
    bus: BusObserver,
    approvals: Approvals,
    propose: Callable[..., Proposal],
    people: People,
) -> None:
    proposal = propose(spent=500_001)
    assert approvals.decide(people.anna, proposal.action_id, "approve") == 200
    assert approvals.decide(people.anna, proposal.action_id, "approve") == 409
    assert row_of(stack, proposal.action_id)["status"] == "half_approved"
    assert approvals.decide(people.ben, proposal.action_id, "approve") == 200
    approved = bus.wait_for(about("ActionApproved", proposal.action_id), "ActionApproved")
    assert approved["detail"]["data"]["decidedBy"] == [person_id(stack, people.anna), person_id(stack, people.ben)]
    bus.wait_for(about("CardBlocked", proposal.action_id), "CardBlocked")


def test_forged_replayed_foreign_and_wrong_groups_attempts_are_refused_and_on_record(
    stack: Stack,
    bus: BusObserver,
    approvals: Approvals,
    propose: Callable[..., Proposal],
    people: People,
) -> None:
    proposal, other = propose(), propose()
    action_id = proposal.action_id
    seen = approvals.look(people.anna, action_id)["seen"]
    head, body, signature = people.anna.token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    assert approvals.send(None, action_id, "approve", seen) == 401
    assert approvals.send(forged, action_id, "approve", seen) == 401
    assert approvals.send(people.customer.token, action_id, "approve", seen) == 403
    assert ask("GET", f"{approvals.url}/{action_id}", people.customer.token)[0] == 403
    assert approvals.send(people.anna.token, str(uuid.uuid4()), "approve", seen) == 404
    assert approvals.send(people.anna.token, action_id, "approve", "f" * 64) == 409
    assert (
        approvals.send(people.anna.token, action_id, "approve", approvals.look(people.anna, other.action_id)["seen"])
        == 409
    )
    assert approvals.send(people.anna.token, action_id, "perhaps", seen) == 400
    assert (row_of(stack, action_id)["status"], card_of(stack, proposal.card_id)["status"]) == ("proposed", "active")

    assert approvals.send(people.anna.token, action_id, "approve", seen) == 200
    assert approvals.send(people.anna.token, action_id, "approve", seen) == 409
    assert approvals.send(people.ben.token, action_id, "reject", seen) == 409
    assert approvals.outcomes(people.anna, action_id) == [
        "wrong_group",
        "changed",
        "changed",
        "approved",
        "decided_before",
        "decided_before",
    ]
    bus.wait_for(about("CardBlocked", action_id), "CardBlocked")
    wait_until(lambda: stack.depth("ApprovedActionsQueue") == 0, 30, "the queue of approved actions empty")
    bus.poll()
    kinds = [event["detail-type"] for event in bus.seen if event["detail"]["data"].get("actionId") == action_id]
    assert sorted(kinds) == ["ActionApproved", "ActionProposed", "CardBlocked"]


def test_analyst_who_proposed_it_may_not_approve_it(
    stack: Stack, approvals: Approvals, propose: Callable[..., Proposal], people: People
) -> None:
    proposal = propose(asker=person_id(stack, people.anna), role="analyst")
    assert approvals.decide(people.anna, proposal.action_id, "approve") == 403
    assert approvals.decide(people.ben, proposal.action_id, "approve") == 200
    assert approvals.outcomes(people.ben, proposal.action_id) == ["own_proposal", "approved"]


def test_late_approval_is_refused_and_what_nobody_decides_on_expires(
    stack: Stack, bus: BusObserver, approvals: Approvals, propose: Callable[..., Proposal], people: People
) -> None:
    late, forgotten, waiting = propose(), propose(), propose()
    for proposal in (late, forgotten):
        set_expiry(stack, proposal.action_id, now() - 1)
    assert approvals.decide(people.anna, late.action_id, "approve") == 409
    run = stack.client("lambda").invoke(FunctionName=stack.resource("ExpireActionsFunction"), Payload=b"{}")
    assert "FunctionError" not in run, run["Payload"].read()
    for proposal in (late, forgotten):
        rejected = bus.wait_for(about("ActionRejected", proposal.action_id), "ActionRejected")
        assert rejected["detail"]["data"]["cause"] == "expired"
        assert card_of(stack, proposal.card_id)["status"] == "active"
    assert approvals.outcomes(people.anna, late.action_id) == ["expired"]
    assert row_of(stack, waiting.action_id)["status"] == "proposed"


def test_decision_is_told_of_once_the_bus_can_be_reached_again(
    stack: Stack, bus: BusObserver, approvals: Approvals, propose: Callable[..., Proposal], people: People
) -> None:
    proposal = propose()
    with denied(stack, "DecideActionRole", "events:PutEvents"):
        assert approvals.decide(people.anna, proposal.action_id, "approve") == 200
    assert "eventToPublish" in row_of(stack, proposal.action_id)
    stack.client("lambda").invoke(FunctionName=stack.resource("ExpireActionsFunction"), Payload=b"{}")
    bus.wait_for(about("CardBlocked", proposal.action_id), "CardBlocked")


def test_second_proposal_for_the_card_ends_as_nothing_to_do(
    stack: Stack,
    bus: BusObserver,
    approvals: Approvals,
    propose: Callable[..., Proposal],
    people: People,
) -> None:
    first = propose()
    second = ask_to_block(stack, first.card_id, people.customer.customer_id)
    assert second.action_id != first.action_id
    assert approvals.decide(people.anna, first.action_id, "approve") == 200
    ended = bus.wait_for(about("ActionRejected", second.action_id), "the end of the second proposal")
    assert ended["detail"]["data"]["cause"] == "nothing_to_do"


def test_approval_that_no_row_knows_of_blocks_nothing_and_is_kept_for_a_person(
    stack: Stack, propose: Callable[..., Proposal]
) -> None:
    proposal = propose()
    data = {
        "actionId": proposal.action_id,
        "action": "block_card",
        "customerId": proposal.customer_id,
        "cardId": proposal.card_id,
        "decidedBy": ["somebody"],
        "decidedAt": contracts.timestamp(now()),
    }
    event_id = contracts.event_id("ActionApproved", proposal.action_id)
    metadata = contracts.Metadata(event_id, 1, "chat-1", "x", contracts.timestamp(now()), "tests")
    event = contracts.build("ActionApproved", data, metadata)
    envelope = {"detail-type": event.detail_type, "source": event.source, "detail": event.detail()}
    queue, dead = stack.queue("ApprovedActionsQueue"), stack.queue("ApprovedActionsDeadLetterQueue")
    # As the queue's last delivery: three visibility timeouts would be nine minutes.
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "1"})
    try:
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(envelope))
        (message,) = dead.receive(1, 60)
    finally:
        queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "180"})
    assert proposal.action_id in message["Body"]
    assert card_of(stack, proposal.card_id)["status"] == "active"
    assert row_of(stack, proposal.action_id)["status"] == "proposed"


def test_made_up_analyst_of_make_approve_signs(stack: Stack, approvals: Approvals) -> None:
    cognito, pool = stack.client("cognito-idp"), user_pool(stack.outputs)
    with signed_in(cognito, pool, "", may_make_up=True) as (name, token):
        assert ask("GET", approvals.url, token)[0] == 200
    with pytest.raises(cognito.exceptions.UserNotFoundException):
        cognito.admin_get_user(UserPoolId=pool.id, Username=name)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("DecideActionRole", "dynamodb:PutItem", "ActionsTable"),
        ("DecideActionRole", "dynamodb:UpdateItem", "CardsTable"),
        ("DecideActionRole", "dynamodb:DeleteItem", "ApprovalAttemptsTable"),
        ("DecideActionRole", "dynamodb:UpdateItem", "ApprovalAttemptsTable"),
        ("ReadActionsRole", "dynamodb:UpdateItem", "ActionsTable"),
        ("CarryOutActionRole", "dynamodb:PutItem", "ApprovalAttemptsTable"),
        ("ExpireActionsRole", "dynamodb:UpdateItem", "CardsTable"),
        ("AgentToolsRole", "dynamodb:PutItem", "ApprovalAttemptsTable"),
    ],
)
def test_nobody_forges_the_trail_or_does_anothers_work(stack: Stack, role: str, action: str, resource: str) -> None:
    assert iam_decision(stack, role, action, table_arn(stack, resource)) == "implicitDeny"
