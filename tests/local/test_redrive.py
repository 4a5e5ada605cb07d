"""`make redrive`: each kind of dead letter goes back to where it failed, and what cannot go back stays."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from local.redrive import Outcome, redrive, sources_of
from tests.engine.queues import a_queue as a_queue_for
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]
TOPIC = "arn:aws:sns:eu-central-1:000000000000:unused"


def a_queue(aws: Aws, **attributes: str) -> str:
    url: str = aws("sqs").create_queue(QueueName=f"redrive-{uuid4().hex[:8]}", Attributes=attributes)["QueueUrl"]
    return url


def arn_of(aws: Aws, url: str) -> str:
    arn: str = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return arn


def bodies(aws: Aws, url: str) -> list[str]:
    return [message["Body"] for message in aws("sqs").receive_message(QueueUrl=url).get("Messages", [])]


def test_message_goes_back_to_the_queue_that_gave_it_up(aws: Aws) -> None:
    dead = a_queue(aws)
    source = a_queue(aws, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn_of(aws, dead), "maxReceiveCount": 3}))
    aws("sqs").send_message(
        QueueUrl=dead, MessageBody="work", MessageAttributes={"kind": {"DataType": "String", "StringValue": "a"}}
    )
    sources = sources_of(aws("sqs"), {"DeadLetterQueue": dead, "Queue": source})

    outcome = redrive(aws, dead, sources[arn_of(aws, dead)], TOPIC)

    assert outcome == Outcome(1, ())
    (message,) = aws("sqs").receive_message(QueueUrl=source, MessageAttributeNames=["All"])["Messages"]
    assert message["Body"] == "work"
    assert message["MessageAttributes"]["kind"]["StringValue"] == "a"
    assert bodies(aws, dead) == []


def test_given_up_batch_is_put_on_the_stream_again_in_order(aws: Aws) -> None:
    kinesis, name = aws("kinesis"), f"redrive-{uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    stream = wait_until(lambda: active(kinesis, name), 10, "the stream is active")
    sent = [kinesis.put_record(StreamName=name, Data=f"{n}".encode(), PartitionKey=f"card-{n}") for n in range(4)]
    dead = a_queue(aws)
    aws("sqs").send_message(QueueUrl=dead, MessageBody=batch(stream, sent[1], sent[2], size=2))

    outcome = redrive(aws, dead, None, TOPIC)

    assert outcome == Outcome(1, ())
    records = everything(kinesis, stream, sent[0]["ShardId"])
    assert [record["Data"] for record in records] == [b"0", b"1", b"2", b"3", b"1", b"2"]
    assert [record["PartitionKey"] for record in records[4:]] == ["card-1", "card-2"]
    assert bodies(aws, dead) == []


def test_batch_whose_records_are_gone_stays(aws: Aws) -> None:
    kinesis, name = aws("kinesis"), f"redrive-{uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    stream = wait_until(lambda: active(kinesis, name), 10, "the stream is active")
    sent = kinesis.put_record(StreamName=name, Data=b"0", PartitionKey="card-0")
    dead = a_queue(aws, VisibilityTimeout="0")
    aws("sqs").send_message(QueueUrl=dead, MessageBody=batch(stream, sent, sent, size=2))

    outcome = redrive(aws, dead, None, TOPIC)

    assert outcome.redriven == 0
    assert "1 of its 2 records" in outcome.problems[0]
    waiting = aws("sqs").get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]
    assert waiting["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_undelivered_event_is_published_to_its_topic_again(aws: Aws) -> None:
    topic = aws("sns").create_topic(Name=f"redrive-{uuid4().hex[:8]}")["TopicArn"]
    heard, dead = a_queue_for(aws, "sns.amazonaws.com"), a_queue(aws)
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=heard.arn, Attributes={"RawMessageDelivery": "true"})
    event = json.dumps({"detail-type": "TransactionFlagged", "source": "backbone.payments", "detail": {}})
    aws("sqs").send_message(QueueUrl=dead, MessageBody=event)
    aws("sqs").send_message(QueueUrl=dead, MessageBody="not an event")

    outcome = redrive(aws, dead, None, topic)

    assert (outcome.redriven, len(outcome.problems)) == (1, 1)
    assert wait_until(lambda: bodies(aws, heard.url), 10, "the topic delivers the event again") == [event]


def active(kinesis: Any, name: str) -> str | None:
    described = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return described["StreamARN"] if described["StreamStatus"] == "ACTIVE" else None


def batch(stream: str | None, first: dict[str, str], last: dict[str, str], size: int) -> str:
    """What Lambda sends to an on-failure destination (the part that redriving reads)."""
    info = {
        "shardId": first["ShardId"],
        "startSequenceNumber": first["SequenceNumber"],
        "endSequenceNumber": last["SequenceNumber"],
        "batchSize": size,
        "streamArn": stream,
    }
    return json.dumps({"requestContext": {"condition": "RetryAttemptsExhausted"}, "KinesisBatchInfo": info})


def everything(kinesis: Any, stream: str | None, shard: str) -> list[dict[str, Any]]:
    iterator = kinesis.get_shard_iterator(StreamARN=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records: list[dict[str, Any]] = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    return records
