"""Investigations of the deployed stack, as a test meets them: payments that are flagged, cases, and who decides."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from backbone import contracts
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Step, case_id_of
from features import SECONDS_PER_DAY, CardProfile, TerminalProfile, add_to_card
from local.api_client import ask
from local.traffic import past_flag_item
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, a_transaction, now, same_card
from tests.stack.observers import BusObserver, Envelope
from transaction import Transaction
from transaction_store import card_item, terminal_item

MUCH = 900_000  # above what any card may spend at once without a question


@dataclass(frozen=True)
class Flagged:
    """A flagged payment, its event, and the case that its investigation opens."""

    transaction: Transaction
    event: Envelope

    @property
    def case_id(self) -> str:
        return case_id_of(self.event["detail"]["metadata"]["eventId"])


def put_card(stack: Stack, card_id: str, customer_id: str) -> None:
    """An active card in the registry."""
    texts = {"cardId": card_id, "customerId": customer_id, "status": "active", "label": "Debit card ending 0042"}
    item = {name: {"S": value} for name, value in texts.items()} | {"version": {"N": "1"}}
    stack.client("dynamodb").put_item(TableName=stack.outputs["CardsTableName"], Item=item)


def a_fraud(stack: Stack, bus: BusObserver, *, is_registered: bool = True) -> Flagged:
    """A payment of nine thousand with a card that paid twenty before, flagged."""
    before = [a_transaction(occurred_at=now() - 40_000)]
    before += [same_card(before[0], occurred_at=now() - 30_000 + 3_000 * number) for number in range(3)]
    fraud = same_card(before[0], amount_minor=MUCH)
    if is_registered:
        put_card(stack, fraud.card_id, fraud.customer_id)
    stack.put(*before, fraud)
    return flagged(bus, fraud)


def a_false_alarm(stack: Stack, bus: BusObserver) -> Flagged:
    """A usual payment at a terminal that was mended: the fraud model learns of that a week late, and flags it.

    All payments there were frauds until eight days ago; what was flagged since was looked into, and was genuine.
    """
    terminal, dynamodb, today = f"TERM-{uuid4().hex[:8]}", stack.client("dynamodb"), now() // SECONDS_PER_DAY
    payment = a_transaction(amount_minor=2_400, terminal_id=terminal)
    card = CardProfile()
    for days_ago in range(28, 1, -1):
        card = add_to_card(card, same_card(payment, amount_minor=2_500, occurred_at=now() - days_ago * SECONDS_PER_DAY))
    days = {day: (3, 3 if today - 24 <= day <= today - 8 else 0) for day in range(today - 35, today)}
    profiles = stack.outputs["ProfilesTableName"]
    dynamodb.put_item(TableName=profiles, Item=card_item(payment.card_id, card, 1, now()))
    dynamodb.put_item(TableName=profiles, Item=terminal_item(terminal, TerminalProfile(days), now()))
    for days_ago in (1, 2, 4):
        item = past_flag_item(terminal, now() - days_ago * SECONDS_PER_DAY)
        dynamodb.put_item(TableName=stack.outputs["TransactionsTableName"], Item=item)
    put_card(stack, payment.card_id, payment.customer_id)
    stack.put(payment)
    return flagged(bus, payment)


def flagged(bus: BusObserver, transaction: Transaction) -> Flagged:
    """The payment once the bus says that it is flagged."""
    event = bus.wait_for(
        lambda one: (
            one["detail-type"] == "TransactionFlagged"
            and one["detail"]["data"]["transactionId"] == transaction.transaction_id
        ),
        f"TransactionFlagged of {transaction.transaction_id}",
    )
    return Flagged(transaction, event)


def event_of(bus: BusObserver, kind: str, case_id: str, seconds: float = 60, **data: str) -> Envelope:
    """The ``kind`` about a case, once the bus carries it; ``data`` are values that it must have."""
    event = bus.wait_for(
        lambda one: (
            one["detail-type"] == kind
            and one["detail"]["data"].get("caseId") == case_id
            and all(one["detail"]["data"].get(name) == value for name, value in data.items())
        ),
        f"{kind} of case {case_id} {data}",
        seconds,
    )
    assert contracts.violation(f"{event['source']}/{kind}.v1", event["detail"]) is None
    return event


def events_of(bus: BusObserver, case_id: str) -> list[str]:
    """The kinds of all events about a case so far, in the order of their arrival, each event once."""
    bus.poll()
    kinds = {
        event["detail"]["metadata"]["eventId"]: event["detail-type"]
        for event in bus.seen
        if event["detail"]["data"].get("caseId") == case_id
    }
    return list(kinds.values())


def steps_of(stack: Stack, case_id: str) -> list[Step]:
    """What the agent knew, thought and did."""
    return InvestigationRows(stack.client("dynamodb"), stack.outputs["InvestigationStepsTableName"]).steps(case_id)


def case_of(stack: Stack, case_id: str) -> dict[str, Any]:
    """The case's row, values without DynamoDB's types."""
    table, key = stack.outputs["CasesTableName"], {"caseId": {"S": case_id}}
    item = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def decide(url: str, token: str, action_id: str, decision: str) -> int:
    """The status of an analyst's decision on what they see now."""
    _, view = ask("GET", f"{url}/{action_id}", token)
    return ask("POST", f"{url}/{action_id}", token, {"decision": decision, "seen": view["seen"]})[0]


def send_alert(stack: Stack, envelope: Mapping[str, Any]) -> None:
    """An alert, as SNS delivers it into the queue, once more."""
    url = stack.resource("InvestigationsQueue")
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(envelope))


def a_flag(**metadata: Any) -> Envelope:
    """A TransactionFlagged of a payment that nobody knows, as scoring would publish it."""
    fresh = uuid4().hex
    data = {
        "transactionId": f"TX-{fresh}",
        "cardId": f"CARD-{fresh[:12]}",
        "customerId": f"CUST-{fresh[:12]}",
        "terminalId": "TERM-00001",
        "amountMinor": MUCH,
        "currency": "EUR",
        "occurredAt": "2026-01-01T12:00:00Z",
        "score": 0.9,
        "severity": "high",
        "reasons": [{"code": "MODEL_SCORE", "severity": "high", "explanation": "The score is high."}],
        "drivers": [],
        "modelVersion": "test",
    }
    said = {
        "eventId": contracts.event_id("TransactionFlagged", f"TX-{fresh}"),
        "eventVersion": 1,
        "correlationId": f"test-{fresh}",
        "causationId": "test",
        "occurredAt": "2026-01-01T12:00:00.000Z",
        "producer": "test",
    }
    envelope = {"source": "backbone.payments", "detail-type": "TransactionFlagged"}
    return {**envelope, "detail": {"metadata": said | metadata, "data": data}}


def execution_of(stack: Stack, flag: Envelope) -> str:
    """The ARN that the execution of a flag has."""
    machine = stack.outputs["InvestigateTransactionStateMachineArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{flag['detail']['metadata']['eventId']}"


def ended(stack: Stack, flag: Envelope, seconds: float = 60) -> dict[str, Any]:
    """A flag's execution as Step Functions describes it, once it has ended."""
    machines, arn = stack.client("stepfunctions"), execution_of(stack, flag)

    def described() -> dict[str, Any] | None:
        try:
            said: dict[str, Any] = machines.describe_execution(executionArn=arn)
        except machines.exceptions.ExecutionDoesNotExist:
            return None
        return None if said["status"] == "RUNNING" else said

    said = wait_until(described, seconds, f"the execution {arn} ends")
    assert said
    return said
