"""Deliveries of a topic that fail for good, and how a topic invokes a function."""

import inspect
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ministack.services import sns

from local.process import EngineProcess
from tests.engine.async_functions import a_function
from tests.engine.queues import Queue, a_queue
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]

TOPICS = "sns.amazonaws.com"
FAILING = "def handler(event, context):\n    raise ValueError('always')\n"


def a_topic(aws: Aws) -> str:
    arn: str = aws("sns").create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"]
    return arn


def subscribe(aws: Aws, topic: str, protocol: str, endpoint: str, dead_letters: Queue | None, **more: str) -> None:
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_letters.arn})} if dead_letters else {}
    aws("sns").subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=redrive | more)


def publish(aws: Aws, topic: str, message: str) -> None:
    attributes = {"kind": {"DataType": "String", "StringValue": "alert"}}
    aws("sns").publish(TopicArn=topic, Message=message, MessageAttributes=attributes)


def test_message_goes_to_the_dead_letter_queue_when_the_queue_is_gone(aws: Aws) -> None:
    gone, dead_letters, topic = a_queue(aws, TOPICS), a_queue(aws, TOPICS), a_topic(aws)
    subscribe(aws, topic, "sqs", gone.arn, dead_letters)
    aws("sqs").delete_queue(QueueUrl=gone.url)

    publish(aws, topic, "fraud")

    (message,) = dead_letters.receive()
    notification = json.loads(message["Body"])
    assert (notification["TopicArn"], notification["Message"]) == (topic, "fraud")
    assert notification["MessageAttributes"]["kind"]["Value"] == "alert"


def test_message_goes_to_the_dead_letter_queue_when_the_queue_has_no_policy_for_the_topic(aws: Aws) -> None:
    closed, dead_letters, topic = a_queue(aws), a_queue(aws, TOPICS), a_topic(aws)
    subscribe(aws, topic, "sqs", closed.arn, dead_letters, RawMessageDelivery="true")

    publish(aws, topic, "fraud")

    (message,) = dead_letters.receive()
    assert message["Body"] == "fraud"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "alert"


def test_other_subscriptions_get_the_message_that_one_could_not(aws: Aws) -> None:
    closed, opened, topic = a_queue(aws), a_queue(aws, TOPICS), a_topic(aws)
    subscribe(aws, topic, "sqs", closed.arn, None)
    subscribe(aws, topic, "sqs", opened.arn, None)

    publish(aws, topic, "fraud")

    assert json.loads(opened.receive()[0]["Body"])["Message"] == "fraud"


def test_lost_message_is_in_the_log_at_error_level_when_there_is_no_dead_letter_queue(
    aws: Aws, engine: EngineProcess
) -> None:
    closed, topic = a_queue(aws), a_topic(aws)
    subscribe(aws, topic, "sqs", closed.arn, None)

    publish(aws, topic, "fraud")

    def logged() -> list[str]:
        return [line for line in engine.log.read_text().splitlines() if "Message lost" in line and topic in line]

    assert "ERROR" in wait_until(logged, 5, "the lost message in the log")[0]


def test_message_goes_to_the_dead_letter_queue_when_the_function_does_not_let_the_topic_in(aws: Aws) -> None:
    function, dead_letters, topic = a_function(aws, FAILING), a_queue(aws, TOPICS), a_topic(aws)
    subscribe(aws, topic, "lambda", function, dead_letters)

    publish(aws, topic, "fraud")

    assert json.loads(dead_letters.receive()[0]["Body"])["Message"] == "fraud"


def test_function_is_invoked_asynchronously_so_that_its_own_failure_destination_gets_the_event(aws: Aws) -> None:
    destination, topic = a_queue(aws), a_topic(aws)
    function = a_function(aws, FAILING, invoked_by=TOPICS, on_failure=destination.arn)
    subscribe(aws, topic, "lambda", function, None)

    publish(aws, topic, "fraud")

    (message,) = destination.receive(seconds=20)
    (record,) = json.loads(message["Body"])["requestPayload"]["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"]["Message"] == "fraud"
    assert {"SigningCertUrl", "UnsubscribeUrl", "MessageAttributes", "Subject"} <= set(record["Sns"])


def test_engine_still_lacks_dead_letter_queues_of_subscriptions() -> None:
    for function in (sns._fanout, sns._deliver_to_sqs, sns._deliver_to_lambda):
        assert "RedrivePolicy" not in inspect.getsource(function)
        assert "deadLetterTargetArn" not in inspect.getsource(function)
