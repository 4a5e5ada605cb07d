"""``python -m local.redrive``: puts dead letters back to work, after what killed them was mended.

Works on AWS and on the embedded AWS alike: it uses the AWS settings of the environment. Three kinds of dead letters
exist, and each goes back to where it failed:

* a message that a function gave up goes to the queue whose redrive policy sent it here;
* a batch of stream records that was given up names its records (KinesisBatchInfo); they are read again and put again;
* an event that a rule or a topic could not deliver is published to the topic again.

Every consumer is idempotent, so what was done before is not done twice. A letter is deleted once it has gone back; one
that could not go back stays, and is told of. Sources: "Dead-letter queues" in the guides of SQS, Lambda ("Discarding
batches from a Kinesis stream"), EventBridge and SNS.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

_DEAD_LETTERS = "DeadLetterQueue"
_OUT_OF_SIGHT_SECONDS = 120

type Message = dict[str, Any]
type Client = Callable[[str], Any]


class RedriveError(Exception):
    """A dead letter cannot go back; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many letters of one queue went back, and why the others did not."""

    redriven: int
    problems: tuple[str, ...]


def redrive(client: Client, queue: str, source: str | None, topic: str) -> Outcome:
    """Sends every letter of ``queue`` (a URL) back: to ``source`` (a queue's URL) if it has one, else by its kind."""
    sqs = client("sqs")
    redriven, problems = 0, []
    for message in _letters(sqs, queue):
        try:
            if source is not None:
                _send_again(sqs, source, message)
            else:
                _replay(client, json.loads(message["Body"]), message, topic)
        except (RedriveError, ClientError, BotoCoreError, ValueError) as error:
            problems.append(f"{message['MessageId']}: {error}")
            continue
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        redriven += 1
    return Outcome(redriven, tuple(problems))


def sources_of(sqs: Any, queues: Mapping[str, str]) -> dict[str, str]:
    """URL of the source queue by ARN of its dead-letter queue, for ``queues`` (URL by name)."""
    sources = {}
    for url in queues.values():
        policy = _attribute(sqs, url, "RedrivePolicy")
        if policy:
            sources[json.loads(policy)["deadLetterTargetArn"]] = url
    return sources


def _letters(sqs: Any, queue: str) -> Iterator[Message]:
    """Each message once: those that stay are out of sight until this is over."""
    seen: set[str] = set()
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_OUT_OF_SIGHT_SECONDS,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=1,
        )
        fresh = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
        if not fresh:
            return
        seen.update(message["MessageId"] for message in fresh)
        yield from fresh


def _send_again(sqs: Any, source: str, message: Message) -> None:
    sqs.send_message(
        QueueUrl=source, MessageBody=message["Body"], MessageAttributes=message.get("MessageAttributes", {})
    )


def _replay(client: Client, body: dict[str, Any], message: Message, topic: str) -> None:
    batch = body.get("KinesisBatchInfo")
    if batch:
        _put_again(client("kinesis"), batch)
        return
    if "detail-type" not in body:
        raise RedriveError("it is neither a batch of stream records nor an event")
    target = message.get("MessageAttributes", {}).get("TARGET_ARN", {}).get("StringValue", topic)
    client("sns").publish(TopicArn=target, Message=message["Body"])


def _put_again(kinesis: Any, batch: Mapping[str, Any]) -> None:
    """Puts the records from startSequenceNumber to endSequenceNumber again, in order, each under its key."""
    first, last = int(batch["startSequenceNumber"]), int(batch["endSequenceNumber"])
    iterator = kinesis.get_shard_iterator(
        StreamARN=batch["streamArn"],
        ShardId=batch["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=batch["startSequenceNumber"],
    )["ShardIterator"]
    records: list[Any] = []
    while iterator and not any(int(record["SequenceNumber"]) >= last for record in records):
        answer = kinesis.get_records(ShardIterator=iterator, StreamARN=batch["streamArn"])
        records += answer["Records"]
        iterator = answer.get("NextShardIterator") if answer["Records"] or answer.get("MillisBehindLatest") else None
    wanted = [record for record in records if first <= int(record["SequenceNumber"]) <= last]
    if len(wanted) < int(batch["batchSize"]):
        raise RedriveError(f"{len(wanted)} of its {batch['batchSize']} records are still on the stream")
    for record in wanted:
        kinesis.put_record(StreamARN=batch["streamArn"], Data=record["Data"], PartitionKey=record["PartitionKey"])


def _attribute(sqs: Any, url: str, name: str) -> str:
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name]).get("Attributes", {})
    return attributes.get(name, "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.redrive", description="Put dead letters back to work.")
    parser.add_argument("--stack-name", required=True)
    parser.add_argument("--queue", default="", help="logical id of one dead-letter queue; default: all of the stack")
    arguments = parser.parse_args()
    try:
        return _redrive_stack(Session().create_client, arguments.stack_name, arguments.queue)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1


def _redrive_stack(client: Client, stack_name: str, only: str) -> int:
    pages = client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    resources = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }
    queues = {name: url for name, url in resources.items() if name.endswith("Queue")}
    dead = {name: url for name, url in queues.items() if name.endswith(_DEAD_LETTERS) and only in ("", name)}
    if not dead:
        sys.stderr.write(f"✗ The stack {stack_name} has no dead-letter queue {only}\n")
        return 1
    sqs, failed = client("sqs"), False
    sources = sources_of(sqs, queues)
    for name, url in sorted(dead.items()):
        source = sources.get(_attribute(sqs, url, "QueueArn"))
        outcome = redrive(client, url, source, resources["FraudAlertsTopic"])
        sys.stdout.write(f"{name}: {outcome.redriven} back at work, {len(outcome.problems)} stay\n")
        for problem in outcome.problems:
            sys.stderr.write(f"✗ {problem}\n")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
