"""Watching the bus: subscribe first, act, then wait for the fact - and say what came instead where it did not."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.engine.queues import Queue, a_queue
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack

type Envelope = dict[str, Any]


@dataclass
class BusObserver:
    """Every event that the bus carried since it was made, in the order in which they arrived here."""

    queue: Queue
    seen: list[Envelope] = field(default_factory=list)

    def wait_for(self, matches: Callable[[Envelope], bool], what: str, seconds: float = 30) -> Envelope:
        """The first event that matches; AssertionError names ``what`` and lists what came instead."""

        def found() -> Envelope | None:
            self.poll()
            return next((event for event in self.seen if matches(event)), None)

        try:
            event = wait_until(found, seconds, what)
        except AssertionError as missed:
            came = [f"{event['detail-type']} {event['detail'].get('data')}" for event in self.seen]
            raise AssertionError(f"{missed} The bus carried: {came}") from missed
        assert event
        return event

    def poll(self) -> None:
        """Takes in what has arrived."""
        while True:
            answer = self.queue.sqs.receive_message(QueueUrl=self.queue.url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                self.seen.append(json.loads(message["Body"]))
                self.queue.sqs.delete_message(QueueUrl=self.queue.url, ReceiptHandle=message["ReceiptHandle"])
            if not messages:
                return

    def about(self, transaction_id: str) -> list[Envelope]:
        """The events seen so far that are about one transaction."""
        return [event for event in self.seen if event["detail"]["data"].get("transactionId") == transaction_id]


@contextmanager
def observe_bus(stack: Stack) -> Iterator[BusObserver]:
    """An observer of the stack's bus, through a rule and a queue of its own, gone at the end."""
    events, bus = stack.client("events"), stack.outputs["EventBusName"]
    queue, rule = a_queue(stack.client, "events.amazonaws.com"), f"observer-{uuid4().hex[:8]}"
    pattern = json.dumps({"source": [{"prefix": "backbone."}]})
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue.arn}])
    try:
        yield BusObserver(queue)
    finally:
        events.remove_targets(Rule=rule, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=rule, EventBusName=bus)
        queue.sqs.delete_queue(QueueUrl=queue.url)


def is_about(detail_type: str, transaction_id: str) -> Callable[[Envelope], bool]:
    """Matches the ``detail_type`` events of one transaction."""
    return lambda event: (
        event["detail-type"] == detail_type and event["detail"]["data"].get("transactionId") == transaction_id
    )
