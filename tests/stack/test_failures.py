"""When something breaks: nothing lost, nothing done twice, the shard goes on, and somebody is told why."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import pytest

from local.process import PROJECT
from tests.engine.queues import Queue
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, a_transaction, same_card
from tests.stack.observers import BusObserver, is_about

BUILT = PROJECT / ".aws-sam" / "build" / "ScoreTransactionsFunction"
# Put before the handler: what a defect in a native library or a runaway record does to the process.
CRASH = """
import os
import stream_records
_read = stream_records.read_transaction
def read_transaction(record, *arguments):
    if b"CRASHES-THE-PROCESS" in record.data:
        os._exit(1)
    return _read(record, *arguments)
stream_records.read_transaction = read_transaction
"""


@contextmanager
def code_of_scoring(stack: Stack, changed: Mapping[str, bytes | None]) -> Iterator[None]:
    """The deployed function with some files changed (None: left out), and as it was at the end."""
    functions, name = stack.client("lambda"), stack.resource("ScoreTransactionsFunction")
    files: dict[str, bytes | None] = {path.name: path.read_bytes() for path in BUILT.iterdir() if path.is_file()}
    functions.update_function_code(FunctionName=name, ZipFile=_zipped({**files, **changed}))
    try:
        yield
    finally:
        functions.update_function_code(FunctionName=name, ZipFile=_zipped(files))


@contextmanager
def denied(stack: Stack, role: str, action: str) -> Iterator[None]:
    """A role that may not do ``action`` for a while: a service that is away, as a function sees it."""
    iam, name = stack.client("iam"), f"away-{uuid4().hex[:8]}"
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=stack.resource(role), PolicyName=name, PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=stack.resource(role), PolicyName=name)


def errors_of(stack: Stack, log_group: str) -> list[str]:
    """The function's log events that tell of trouble."""
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=stack.resource(log_group))
    messages = [event["message"] for page in pages for event in page["events"]]
    return [message for message in messages if '"WARNING"' in message or '"ERROR"' in message or "errorType" in message]


def test_record_that_kills_the_process_is_found_and_given_up_alone_and_operations_are_told(
    stack: Stack, operations: Queue
) -> None:
    card = a_transaction()
    before = [same_card(card) for _ in range(3)]
    after = [same_card(card) for _ in range(3)]
    handler = (BUILT / "score_transactions.py").read_bytes()
    with code_of_scoring(stack, {"score_transactions.py": CRASH.encode() + handler}):
        stack.put(*before)
        event_id = stack.put_bytes(b'{"note": "CRASHES-THE-PROCESS"}', card.card_id)
        stack.put(*after)
        for transaction in (*before, *after):
            stack.row(transaction.transaction_id, seconds=60)
        # First the alarm: a message that is taken out at once may never be seen by the metric.
        alarms = [json.loads(message["Body"]) for message in operations.receive(1, 60)]
        record = json.loads(stack.queue("ScoreTransactionsDeadLetterQueue").receive(1, 60)[0]["Body"])
    batch = record["KinesisBatchInfo"]
    assert batch["batchSize"] == 1
    assert f"{batch['shardId']}:{batch['startSequenceNumber']}" == event_id
    assert batch["startSequenceNumber"] == batch["endSequenceNumber"]
    assert any("ScoreTransactionsDeadLetter" in alarm["AlarmName"] for alarm in alarms)


@pytest.mark.parametrize("action", ["dynamodb:UpdateItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"])
def test_batch_comes_again_until_the_tables_answer_and_counts_once(stack: Stack, action: str) -> None:
    first = a_transaction()
    log = len(errors_of(stack, "ScoreTransactionsLogGroup"))
    with denied(stack, "ScoreTransactionsRole", action):
        stack.put(first)
        wait_until(lambda: len(errors_of(stack, "ScoreTransactionsLogGroup")) > log, 30, f"a failure of {action}")
        assert first.transaction_id not in stack.rows()
    second = same_card(first)
    stack.put(second)
    counts = [
        json.loads(stack.row(one.transaction_id)["explanation"])["features"]["card_count_30d"]
        for one in (first, second)
    ]
    assert counts[1] == counts[0] + 1


def test_flag_is_published_once_the_bus_answers_again(stack: Stack, bus: BusObserver) -> None:
    fraud = a_transaction(amount_minor=900_000)
    with denied(stack, "ScoreTransactionsRole", "events:PutEvents"):
        stack.put(fraud)
        assert "publishedAt" not in stack.row(fraud.transaction_id)
    bus.wait_for(is_about("TransactionFlagged", fraud.transaction_id), "TransactionFlagged")
    wait_until(lambda: "publishedAt" in stack.row(fraud.transaction_id), 20, "the row's note that it was published")
    bus.wait_for(is_about("CustomerNotified", fraud.transaction_id), "CustomerNotified")
    assert [event["detail-type"] for event in bus.about(fraud.transaction_id)].count("TransactionFlagged") == 1


def test_alert_that_cannot_be_read_ends_in_the_dead_letter_queue(stack: Stack) -> None:
    queue = stack.queue("NotifyCustomerQueue")
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "1"})
    try:
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps({"detail-type": "SomethingElse"}))
        message = stack.queue("NotifyCustomerDeadLetterQueue").receive(1, 60)[0]
    finally:
        queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "180"})
    assert json.loads(message["Body"]) == {"detail-type": "SomethingElse"}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"{}", "fraud_model.json"), (b"\x00\x01", "is not JSON")],
    ids=["missing", "empty", "corrupt"],
)
def test_function_does_not_start_without_a_sound_model_and_says_why(
    stack: Stack, content: bytes | None, said: str
) -> None:
    with code_of_scoring(stack, {"fraud_model.json": content}):
        answer = stack.client("lambda").invoke(
            FunctionName=stack.resource("ScoreTransactionsFunction"), Payload=json.dumps({"Records": []})
        )
        error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "InvalidModelError"
    assert said in error["errorMessage"]
    assert "fraud_model.json" in error["errorMessage"]


def _zipped(files: Mapping[str, bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()
