"""Batches of messages under a policy that names the single action."""

import pytest
from botocore.exceptions import ClientError
from ministack.core import iam_actions

from tests.engine.callers import a_user
from tests.engine.queues import a_queue
from tests.engine.stacks import Client


def test_message_batches_are_allowed_by_the_grant_of_the_single_action(aws: Client) -> None:
    queue = a_queue(aws)
    actions = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    with a_user(aws, {"Effect": "Allow", "Action": actions, "Resource": queue.arn}) as client:
        sqs = client("sqs")
        sqs.send_message_batch(QueueUrl=queue.url, Entries=[{"Id": "1", "MessageBody": "one"}])
        handle = sqs.receive_message(QueueUrl=queue.url)["Messages"][0]["ReceiptHandle"]
        sqs.change_message_visibility_batch(
            QueueUrl=queue.url, Entries=[{"Id": "1", "ReceiptHandle": handle, "VisibilityTimeout": 30}]
        )
        answer = sqs.delete_message_batch(QueueUrl=queue.url, Entries=[{"Id": "1", "ReceiptHandle": handle}])
    assert [entry["Id"] for entry in answer["Successful"]] == ["1"]


def test_message_batch_is_refused_without_the_grant_of_the_single_action(aws: Client) -> None:
    queue = a_queue(aws)
    with (
        a_user(aws, {"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": queue.arn}) as client,
        pytest.raises(ClientError, match="AccessDenied"),
    ):
        client("sqs").send_message_batch(QueueUrl=queue.url, Entries=[{"Id": "1", "MessageBody": "one"}])


def test_engine_still_asks_for_an_action_of_the_batch_itself() -> None:
    headers = {"x-amz-target": "AmazonSQS.SendMessageBatch"}
    assert iam_actions.extract_iam_action("sqs", "POST", "/", headers, b"{}", {}) == "sqs:SendMessageBatch"
