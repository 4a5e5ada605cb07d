"""Card transactions through the deployed stack: from the stream to the row, the event, the alert and the notice."""

import json
from typing import Any

import pytest

from backbone import contracts
from fraud_model import FraudModel
from local.traffic import Traffic, expected_verdicts
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, a_transaction, body_of, same_card
from tests.stack.observers import BusObserver, is_about


def test_transactions_are_judged_as_recomputed_offline_and_flags_are_published_once(
    stack: Stack, traffic: Traffic, model: FraudModel, bus: BusObserver
) -> None:
    expected = expected_verdicts(traffic, model)
    stack.put(*traffic.transactions)

    rows = wait_until(lambda: (rows := stack.rows()).keys() >= expected.keys() and rows, 60, f"{len(expected)} rows")
    assert rows
    assert {key: float(rows[key]["score"]) for key in expected} == pytest.approx(
        {key: verdict.score for key, verdict in expected.items()}, abs=1e-6
    )
    flagged = {key for key, verdict in expected.items() if verdict.flagged}
    assert {key for key in expected if rows[key]["flagged"]} == flagged
    for transaction_id in flagged:
        bus.wait_for(is_about("TransactionFlagged", transaction_id), f"TransactionFlagged for {transaction_id}")
    assert len([event for event in bus.seen if event["detail-type"] == "TransactionFlagged"]) == len(flagged)


def test_flagged_transaction_reaches_investigation_and_customer_with_one_correlation(
    stack: Stack, bus: BusObserver
) -> None:
    fraud = a_transaction(amount_minor=900_000)
    stack.put(fraud)

    flagged = bus.wait_for(is_about("TransactionFlagged", fraud.transaction_id), "TransactionFlagged")
    notified = bus.wait_for(is_about("CustomerNotified", fraud.transaction_id), "CustomerNotified")
    row = stack.row(fraud.transaction_id)

    assert contracts.violation("backbone.payments/TransactionFlagged.v1", flagged["detail"]) is None
    assert flagged["detail"]["data"]["severity"] == "high"
    assert "AMOUNT_ABOVE_LIMIT" in {reason["code"] for reason in flagged["detail"]["data"]["reasons"]}
    assert flagged["detail"]["metadata"]["causationId"] == row["streamEventId"]
    assert notified["detail"]["metadata"]["causationId"] == flagged["detail"]["metadata"]["eventId"]
    assert {flagged["detail"]["metadata"]["correlationId"], notified["detail"]["metadata"]["correlationId"]} == {
        row["correlationId"]
    }
    opened = bus.wait_for(is_about("CaseOpened", fraud.transaction_id), "CaseOpened of its investigation")
    assert opened["detail"]["metadata"]["causationId"] == flagged["detail"]["metadata"]["eventId"]
    assert opened["detail"]["metadata"]["correlationId"] == row["correlationId"]
    notice = stack.client("dynamodb").get_item(
        TableName=stack.outputs["CustomerInboxTableName"],
        Key={
            "customerId": {"S": fraud.customer_id},
            "notificationId": {"S": notified["detail"]["data"]["notificationId"]},
        },
    )["Item"]
    assert "9000.00 EUR" in notice["text"]["S"]


def test_same_transaction_twice_changes_nothing_twice(stack: Stack, bus: BusObserver) -> None:
    fraud = a_transaction(amount_minor=900_000)
    stack.put(fraud, fraud)
    stack.put(fraud)
    follower = same_card(fraud, amount_minor=1_000)
    stack.put(follower)

    stack.row(follower.transaction_id)
    for kind in ("CustomerNotified", "CaseOpened"):
        bus.wait_for(is_about(kind, fraud.transaction_id), kind)
    features = json.loads(stack.row(follower.transaction_id)["explanation"])["features"]
    before = json.loads(stack.row(fraud.transaction_id)["explanation"])["features"]
    assert features["card_count_30d"] == before["card_count_30d"] + 1
    bus.poll()
    told = [event["detail-type"] for event in bus.about(fraud.transaction_id)]
    assert [told.count(kind) for kind in ("TransactionFlagged", "CustomerNotified", "CaseOpened")] == [1, 1, 1]


def test_records_that_cannot_be_scored_are_quarantined_with_a_reason_and_the_shard_goes_on(stack: Stack) -> None:
    good = a_transaction()
    card = good.card_id
    bad = {
        b"\xff\xfe not text": "not UTF-8",
        b"not json": "not JSON",
        b'{"transactionId": "TX-1"}': "breaks schema",
        body_of(same_card(good), amountMinor=-5): "amountMinor",
        body_of(same_card(good), amountMinor=10**12): "amountMinor",
        body_of(same_card(good, occurred_at=4_102_444_800)): "in the future",
        body_of(same_card(good, occurred_at=946_684_800)): "days old",
        body_of(same_card(good)).ljust(70_000): "70,000 bytes",
        body_of(same_card(good)).ljust(900_000): "900,000 bytes",
    }
    reasons = {stack.put_bytes(data, card): reason for data, reason in bad.items()}
    stack.put(good)

    assert stack.row(good.transaction_id)["cardId"] == card
    queue = stack.queue("TransactionQuarantineQueue")
    found: dict[str, dict[str, Any]] = {}
    while not found.keys() >= reasons.keys():
        messages = [json.loads(message["Body"]) for message in queue.receive(1)]
        found |= {message["streamEventId"]: message for message in messages}
    assert [reason for event_id, reason in reasons.items() if reason not in found[event_id]["reason"]] == []
    largest = next(found[event_id] for event_id in reasons if found[event_id]["bytes"] == 900_000)
    stored = stack.client("s3").get_object(Bucket=largest["object"]["bucket"], Key=largest["object"]["key"])
    assert len(stored["Body"].read()) == 900_000


def test_unknown_card_is_scored_as_a_new_one_and_told_so_when_it_pays_much(stack: Stack) -> None:
    stranger = a_transaction(amount_minor=40_000)
    stack.put(stranger)
    explanation = json.loads(stack.row(stranger.transaction_id)["explanation"])
    assert explanation["features"]["card_count_30d"] == 1
    assert "NEW_CARD_LARGE_AMOUNT" in {reason["code"] for reason in explanation["reasons"]}
