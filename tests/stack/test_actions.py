"""Refunds, releases and their end on the deployed stack: an agent asks, analysts decide, a later verdict undoes."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backbone import contracts
from local.process import EngineProcess
from tests.engine.waiting import wait_until
from tests.stack.agent_tools_calls import tool_said
from tests.stack.deployed import Stack, iam_decision, now, table_arn
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_approvals import Approvals, card_of, row_of
from tests.stack.test_documents_api import Somebody, somebody
from tests.stack.test_failures import denied
from tests.stack.test_learning import close, closing_of

AMOUNT = 31_200


@dataclass(frozen=True)
class Desk:
    """An analyst, what they decide on, and the cases that they close."""

    anna: Somebody
    approvals: Approvals
    cases_url: str

    def approve(self, action_id: str) -> None:
        assert self.approvals.decide(self.anna, action_id, "approve") == 200

    def close(self, case_id: str, outcome: str) -> None:
        assert close(self.cases_url, self.anna.token, case_id, outcome)[0] == 200


@pytest.fixture(scope="module")
def desk(stack: Stack, engine: EngineProcess) -> Desk:
    api = f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_"
    return Desk(somebody(stack, "analyst"), Approvals(stack, f"{api}/approvals"), f"{api}/cases")


@dataclass(frozen=True)
class Flag:
    """A flagged transaction of a customer with an active card, and the case that an agent opened about it."""

    stack: Stack
    transaction_id: str
    card_id: str
    customer_id: str
    case_id: str = ""

    def ask_for(self, tool: str, role: str = "agent", **arguments: str) -> dict[str, Any]:
        """The tool's answer to the agent that works on the case."""
        about = {"customer_id": self.customer_id, "about": self.transaction_id}
        case_id = self.case_id or None
        return tool_said(self.stack, tool, arguments, person_id="agent", role=role, case_id=case_id, **about)

    def proposed(self, tool: str, **arguments: str) -> str:
        """The id of the action that came of it."""
        body = self.ask_for(tool, **arguments)
        assert body["state"] == "proposed", body
        return str(body["data"]["action"]["actionId"])

    def another_case(self) -> str:
        """The id of another case about the transaction."""
        body = self.ask_for("open_case", subject="I did pay this", transactionId=self.transaction_id)
        return str(body["data"]["case"]["caseId"])

    def row(self) -> dict[str, Any]:
        return self.stack.row(self.transaction_id)

    def notices(self) -> list[str]:
        answer = self.stack.client("dynamodb").query(
            TableName=self.stack.outputs["CustomerInboxTableName"],
            KeyConditionExpression="customerId = :customer",
            ExpressionAttributeValues={":customer": {"S": self.customer_id}},
        )
        return [item["text"]["S"] for item in answer["Items"]]


@pytest.fixture
def flagged(stack: Stack) -> Callable[..., Flag]:
    """Makes a flag, as scoring leaves it, with a case of an agent's."""

    def made(amount_minor: int = AMOUNT) -> Flag:
        fresh, dynamodb = uuid.uuid4().hex[:12], stack.client("dynamodb")
        flag = Flag(stack, f"TX-{fresh}", f"CARD-{fresh}", f"CUST-{fresh}")
        texts = {"cardId": flag.card_id, "customerId": flag.customer_id, "status": "active", "label": "Debit card"}
        card: dict[str, Any] = {name: {"S": value} for name, value in texts.items()}
        dynamodb.put_item(TableName=stack.outputs["CardsTableName"], Item=card | {"version": {"N": "1"}})
        texts = {"transactionId": flag.transaction_id, "cardId": flag.card_id, "customerId": flag.customer_id}
        texts |= {"terminalId": "TERM-1", "currency": "EUR", "severity": "high"}
        numbers = {"amountMinor": amount_minor, "occurredAt": now() - 60, "score": 0.9}
        explanation = json.dumps({"reasons": [], "drivers": []})
        item: dict[str, Any] = {name: {"S": value} for name, value in texts.items()}
        item |= {name: {"N": str(value)} for name, value in numbers.items()}
        item |= {"flagged": {"BOOL": True}, "explanation": {"S": explanation}}
        dynamodb.put_item(TableName=stack.outputs["TransactionsTableName"], Item=item)
        return Flag(stack, flag.transaction_id, flag.card_id, flag.customer_id, flag.another_case())

    return made


def about(detail_type: str, flag: Flag) -> Callable[[Envelope], bool]:
    return lambda event: (
        event["detail-type"] == detail_type and event["detail"]["data"].get("customerId") == flag.customer_id
    )


def told(bus: BusObserver, flag: Flag, *detail_types: str) -> list[str]:
    """The facts of these kinds about the flag's customer, each once however often the bus carried it."""
    bus.poll()
    facts = {
        (event["detail-type"], event["detail"]["metadata"]["eventId"])
        for event in bus.seen
        if event["detail"]["data"].get("customerId") == flag.customer_id and event["detail-type"] in detail_types
    }
    return sorted(kind for kind, _ in facts)


def checked(event: Envelope, depth: int) -> dict[str, Any]:
    """The event's data; fails where it breaks its schema or lies elsewhere in the chain."""
    version = event["detail"]["metadata"]["eventVersion"]
    assert contracts.violation(f"{event['source']}/{event['detail-type']}.v{version}", event["detail"]) is None
    assert event["detail"]["metadata"].get("causationDepth", 0) == depth
    data: dict[str, Any] = event["detail"]["data"]
    return data


def is_done(stack: Stack, action_id: str, result: str) -> bool:
    row = row_of(stack, action_id)
    return (row["status"], row.get("result")) == ("done", result)


def wait_until_done(stack: Stack, action_id: str, result: str = "done") -> None:
    wait_until(lambda: is_done(stack, action_id, result), 30, f"action {action_id} {result}")


def test_agent_proposes_a_refund_an_analyst_approves_it_is_paid_and_the_customer_is_told(
    stack: Stack, bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    flag = flagged()
    action_id = flag.proposed("refund", transactionId=flag.transaction_id)
    assert flag.proposed("refund", transactionId=flag.transaction_id) == action_id
    view = desk.approvals.look(desk.anna, action_id)
    assert (view["action"], view["transactionId"], view["amountMinor"]) == ("refund", flag.transaction_id, AMOUNT)
    assert (view["cardLabel"], view["caseId"], "refundId" in flag.row()) == ("Debit card", flag.case_id, False)

    desk.approve(action_id)

    proposed = bus.wait_for(about("ActionProposed", flag), "ActionProposed")
    approved = bus.wait_for(about("ActionApproved", flag), "ActionApproved")
    refunded = bus.wait_for(about("TransactionRefunded", flag), "TransactionRefunded")
    notified = bus.wait_for(about("CustomerNotified", flag), "CustomerNotified")
    # The session of the test says that it comes of a chat's message.
    for depth, event in enumerate((proposed, approved, refunded, notified), 1):
        checked(event, depth)
    assert refunded["detail"]["data"] == {
        "transactionId": flag.transaction_id,
        "customerId": flag.customer_id,
        "cardId": flag.card_id,
        "amountMinor": AMOUNT,
        "currency": "EUR",
        "actionId": action_id,
        "caseId": flag.case_id,
    }
    assert notified["detail"]["metadata"]["causationId"] == refunded["detail"]["metadata"]["eventId"]
    row = flag.row()
    assert (row["refundId"], row["refundedAmountMinor"]) == (action_id, str(AMOUNT))
    (notice,) = flag.notices()
    assert notice.startswith("We paid back 312.00 EUR")
    wait_until_done(stack, action_id)


def test_small_release_is_done_at_once_and_a_large_one_once_it_is_approved(
    stack: Stack, bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    small, large = flagged(20_000), flagged(20_001)
    body = small.ask_for("release_transaction", transactionId=small.transaction_id)
    assert (body["state"], small.row()["releasedBy"]) == ("done", "agent")
    data = checked(bus.wait_for(about("TransactionReleased", small), "TransactionReleased"), 1)
    assert (data["releasedBy"], data["caseId"]) == ("agent", small.case_id)
    bus.wait_for(about("CustomerNotified", small), "CustomerNotified")

    action_id = large.proposed("release_transaction", transactionId=large.transaction_id)
    assert "releaseId" not in large.row()
    desk.approve(action_id)
    data = checked(bus.wait_for(about("TransactionReleased", large), "TransactionReleased"), 3)
    assert (data["releasedBy"], data["releaseId"]) == ("analyst", action_id)
    wait_until_done(stack, action_id)


@pytest.mark.parametrize("role", ["customer", "analyst"])
def test_nobody_in_a_chat_releases_or_refunds(flagged: Callable[..., Flag], role: str) -> None:
    flag = flagged(100)
    for tool in ("release_transaction", "refund"):
        assert flag.ask_for(tool, role, transactionId=flag.transaction_id)["state"] == "refused"
    assert not {"releaseId", "refundId"} & flag.row().keys()


def test_later_case_that_finds_it_genuine_unblocks_the_card_and_reverses_the_refund_once(
    stack: Stack, bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    flag = flagged()
    actions = [
        flag.proposed("block_card", cardId=flag.card_id, reason="fraud"),
        flag.proposed("refund", transactionId=flag.transaction_id),
    ]
    for action_id in actions:
        desk.approve(action_id)
        wait_until_done(stack, action_id)
    desk.close(flag.case_id, "confirmed_fraud")
    wait_until(lambda: flag.row().get("standingCaseId") == flag.case_id, 30, "the verdict on the row")
    assert (card_of(stack, flag.card_id)["status"], flag.row()["refundId"]) == ("blocked", actions[1])

    later = flag.another_case()
    desk.close(later, "genuine")

    unblocked = bus.wait_for(about("CardUnblocked", flag), "CardUnblocked")
    reversed_ = bus.wait_for(about("RefundReversed", flag), "RefundReversed")
    closed = bus.wait_for(
        lambda event: about("CaseClosed", flag)(event) and event["detail"]["data"]["caseId"] == later, "CaseClosed"
    )
    depth = closed["detail"]["metadata"]["causationDepth"] + 1
    assert checked(unblocked, depth)["actionId"] == actions[0]
    assert checked(reversed_, depth)["actionId"] == actions[1]
    for event in (unblocked, reversed_):
        assert event["detail"]["metadata"]["causationId"] == closed["detail"]["metadata"]["eventId"]
        assert event["detail"]["data"]["caseId"] == later
    assert card_of(stack, flag.card_id)["status"] == "active"
    assert "refundReversedAt" in flag.row()

    queue = stack.queue("CompensationsQueue")
    for case_id, outcome in ((later, "genuine"), (flag.case_id, "confirmed_fraud"), (later, "genuine")):
        body = json.dumps(closing_of(stack, case_id, outcome))
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=body)
    wait_until(lambda: stack.depth("CompensationsQueue") == 0, 30, "the queue of compensations empty")
    wait_until(lambda: len(flag.notices()) == 4, 30, "four notices")
    assert told(bus, flag, "CardBlocked", "CardUnblocked", "TransactionRefunded", "RefundReversed") == [
        "CardBlocked",
        "CardUnblocked",
        "RefundReversed",
        "TransactionRefunded",
    ]
    assert (card_of(stack, flag.card_id)["version"], flag.row()["standingCaseId"]) == ("3", later)
    assert stack.depth("CompensationsDeadLetterQueue") == 0


def test_release_of_what_turns_out_to_be_fraud_is_withdrawn_and_the_customer_not_told_of_that(
    bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    flag = flagged(100)
    assert flag.ask_for("release_transaction", transactionId=flag.transaction_id)["state"] == "done"
    desk.close(flag.case_id, "confirmed_fraud")
    withdrawn = bus.wait_for(about("TransactionReleaseWithdrawn", flag), "TransactionReleaseWithdrawn")
    assert checked(withdrawn, 3)["caseId"] == flag.case_id
    assert "releaseWithdrawnAt" in flag.row()
    assert flag.ask_for("release_transaction", transactionId=flag.transaction_id)["state"] == "refused"
    wait_until(lambda: len(flag.notices()) == 1, 30, "the notice of the release")


def test_what_is_approved_after_the_verdict_that_it_contradicts_is_nothing_to_do(
    stack: Stack, bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    flag = flagged()
    actions = [
        flag.proposed("block_card", cardId=flag.card_id, reason="fraud"),
        flag.proposed("refund", transactionId=flag.transaction_id),
    ]
    desk.close(flag.case_id, "genuine")
    wait_until(lambda: flag.row().get("standingVerdict") == "genuine", 30, "the verdict on the row")
    for action_id in actions:
        desk.approve(action_id)
        wait_until_done(stack, action_id, "nothing_to_do")
    assert (card_of(stack, flag.card_id)["status"], "refundId" in flag.row()) == ("active", False)
    assert told(bus, flag, "CardBlocked", "TransactionRefunded") == []


def test_verdict_that_a_table_away_held_up_is_acted_on_when_it_comes_again(
    stack: Stack, bus: BusObserver, desk: Desk, flagged: Callable[..., Flag]
) -> None:
    flag = flagged()
    action_id = flag.proposed("refund", transactionId=flag.transaction_id)
    desk.approve(action_id)
    wait_until_done(stack, action_id)
    queue = stack.queue("CompensationsQueue")
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "2"})
    try:
        with denied(stack, "CompensateOutcomeRole", "events:PutEvents"):
            desk.close(flag.case_id, "genuine")
            wait_until(lambda: "refundReversedAt" in flag.row(), 30, "the reversal on the row")
        bus.wait_for(about("RefundReversed", flag), "RefundReversed")
    finally:
        queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "180"})
    wait_until(lambda: "eventToPublish" not in flag.row(), 30, "the event forgotten")


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("CompensateOutcomeRole", "dynamodb:PutItem", "TransactionsTable"),
        ("CompensateOutcomeRole", "dynamodb:UpdateItem", "CasesTable"),
        ("CompensateOutcomeRole", "dynamodb:UpdateItem", "ProfilesTable"),
        ("CarryOutActionRole", "dynamodb:PutItem", "TransactionsTable"),
        ("CarryOutActionRole", "dynamodb:UpdateItem", "CasesTable"),
        ("AgentToolsRole", "dynamodb:PutItem", "TransactionsTable"),
        ("NotifyCustomerRole", "dynamodb:UpdateItem", "TransactionsTable"),
    ],
)
def test_nobody_makes_transactions_or_closes_cases_on_the_way(
    stack: Stack, role: str, action: str, resource: str
) -> None:
    assert iam_decision(stack, role, action, table_arn(stack, resource)) == "implicitDeny"
