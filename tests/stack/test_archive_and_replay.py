"""The archive: events of the past, again, for a fix or for a consumer that came later."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, a_transaction
from tests.stack.observers import BusObserver, is_about


def test_replayed_flag_reaches_the_bus_again_and_notifies_nobody_twice(stack: Stack, bus: BusObserver) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=2)
    fraud = a_transaction(amount_minor=900_000)
    stack.put(fraud)
    first = bus.wait_for(is_about("TransactionFlagged", fraud.transaction_id), "TransactionFlagged")
    bus.wait_for(is_about("CustomerNotified", fraud.transaction_id), "CustomerNotified")

    events = stack.client("events")
    bus_arn = events.describe_event_bus(Name=stack.outputs["EventBusName"])["Arn"]
    archive = events.describe_archive(ArchiveName=stack.resource("EventArchive"))["ArchiveArn"]
    replay = f"replay-{uuid4().hex[:8]}"
    events.start_replay(
        ReplayName=replay,
        EventSourceArn=archive,
        EventStartTime=begin,
        EventEndTime=datetime.now(UTC) + timedelta(seconds=2),
        Destination={"Arn": bus_arn},
    )
    wait_until(lambda: events.describe_replay(ReplayName=replay)["State"] == "COMPLETED", 30, "the replay's end")

    def flags() -> list[dict[str, object]]:
        bus.poll()
        return [
            event["detail"] for event in bus.about(fraud.transaction_id) if event["detail-type"] == first["detail-type"]
        ]

    again = wait_until(lambda: len(found := flags()) == 2 and found, 20, "the flag a second time")
    assert again
    assert again[0] == again[1]
    # A later flag passes through the same queue: once its notice is there, the replayed one has been dealt with.
    later = a_transaction(amount_minor=900_000)
    stack.put(later)
    bus.wait_for(is_about("CustomerNotified", later.transaction_id), "CustomerNotified of a later flag")
    queue = stack.depth
    wait_until(lambda: queue("NotifyCustomerQueue") == 0, 20, "the notification queue empty")
    inbox = stack.client("dynamodb").query(
        TableName=stack.outputs["CustomerInboxTableName"],
        KeyConditionExpression="customerId = :customer",
        ExpressionAttributeValues={":customer": {"S": fraud.customer_id}},
    )["Items"]
    notices = [item for item in inbox if item["transactionId"]["S"] == fraud.transaction_id]
    assert len(notices) == 1
    notified = [event for event in bus.about(fraud.transaction_id) if event["detail-type"] == "CustomerNotified"]
    assert len(notified) == len([event for event in notified if event.get("replay-name")]) + 1, json.dumps(notified)
