"""Queues in a test: made with the policy that lets a service send to them, read until what is expected is there."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.engine.waiting import wait_until


@dataclass(frozen=True)
class Queue:
    """A queue by both of its names, and what a test asks of it."""

    sqs: Any
    name: str
    url: str
    arn: str

    def receive(self, count: int = 1, seconds: float = 10) -> list[dict[str, Any]]:
        """The first ``count`` messages or more, removed from the queue; AssertionError where fewer come in time."""
        seen: list[dict[str, Any]] = []

        def drained() -> bool:
            answer = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            messages = answer.get("Messages", [])
            if messages:
                handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                self.sqs.delete_message_batch(QueueUrl=self.url, Entries=handles)
            seen.extend(messages)
            return len(seen) >= count

        wait_until(drained, seconds, f"{count} messages in {self.name}")
        return seen


def a_queue(aws: Callable[[str], Any], *senders: str, suffix: str = "", **attributes: str) -> Queue:
    """A fresh queue whose policy lets the services ``senders`` (``events.amazonaws.com``) send to it."""
    sqs, name = aws("sqs"), f"queue-{uuid4().hex[:8]}{suffix}"
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if senders:
        statement = {"Effect": "Allow", "Principal": {"Service": list(senders)}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return Queue(sqs, name, url, arn)


def attributes_of(message: dict[str, Any]) -> dict[str, str]:
    """The message's attributes by name."""
    return {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
