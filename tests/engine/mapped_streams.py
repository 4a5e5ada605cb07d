"""A Kinesis stream, a function whose records say what it shall do, and a mapping between them, for tests.

A record's data is a JSON object. ``{"raise": true}``, ``{"exit": true}`` and ``{"sleep": seconds}`` make the handler
do that, ``{"report": true}`` makes it name the record in batchItemFailures, ``{"respond": anything}`` makes it return
that, ``{"keep": true}`` makes it log the whole event. Every invocation appends a line to a file of the stream's when it
starts, and one when it ends.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.engine.waiting import wait_until

HANDLER = """
import base64, json, os, pathlib, time

LOGS = pathlib.Path(os.environ["LOGS"])
VERSION = 1


def handler(event, context):
    records = [(record, data_of(record)) for record in event["Records"]]
    source = event["Records"][0]["eventSourceARN"].replace(":", "/").rsplit("/", 1)[1]
    invocation = context.aws_request_id
    commands = [data for _, data in records if isinstance(data, dict)]
    log(source, invocation=invocation, began=time.time(), version=VERSION, data=[data for _, data in records],
        keys=[record.get("kinesis", {}).get("partitionKey") for record, _ in records],
        event=event if any(command.get("keep") for command in commands) else None)
    time.sleep(max([command.get("sleep", 0) for command in commands], default=0))
    if any(command.get("exit") for command in commands):
        os._exit(7)
    if any(command.get("raise") for command in commands):
        raise ValueError("as told")
    log(source, invocation=invocation, ended=time.time())
    for command in commands:
        if "respond" in command:
            return command["respond"]
    failed = [record["kinesis"]["sequenceNumber"] for record, data in records if reports(data)]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in reversed(failed)]}


def data_of(record):
    if "body" in record:
        return json.loads(record["body"])
    data = base64.b64decode(record["kinesis"]["data"])
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def reports(data):
    return isinstance(data, dict) and data.get("report")


def log(source, **line):
    with (LOGS / f"{source}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
"""

type Client = Callable[[str], Any]


def zipped(source: str) -> bytes:
    """A deployment package with ``source`` as its handler module."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()


@dataclass
class ObedientFunction:
    """A deployed function with the handler above. It may send to queues, topics and buckets, unless told otherwise."""

    aws: Client
    name: str
    arn: str
    logs: Path

    def lines(self, source: str) -> list[dict[str, Any]]:
        """What was logged for records of the stream or queue ``source``."""
        log = self.logs / f"{source}.jsonl"
        complete, _, _ = log.read_text().rpartition("\n") if log.exists() else ("", "", "")
        return [json.loads(line) for line in complete.splitlines()]


@contextmanager
def deployed_function(
    aws: Client, logs: Path, *, timeout: int = 30, may_send: bool = True
) -> Iterator[ObedientFunction]:
    """Deploys it, with a role of its own, and deletes it in the end."""
    name = f"obedient-{uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = aws("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]
    if may_send:
        allow = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sns:Publish", "s3:PutObject"], "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [allow]}
        aws("iam").put_role_policy(RoleName=name, PolicyName="send", PolicyDocument=json.dumps(policy))
    function = aws("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Arn"],
        Handler="index.handler",
        Code={"ZipFile": zipped(HANDLER)},
        Timeout=timeout,
        Environment={"Variables": {"LOGS": str(logs)}},
    )
    aws("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
    try:
        yield ObedientFunction(aws, name, function["FunctionArn"], logs)
    finally:
        aws("lambda").delete_function(FunctionName=name)


@dataclass
class MappedStream:
    """A stream, and what the function saw of it."""

    aws: Client
    name: str
    arn: str
    function: ObedientFunction

    def put(self, *data: Any, key: str = "key") -> list[str]:
        """Puts the records in one request; returns their sequence numbers."""
        return self.put_with_keys(*((key, one) for one in data))

    def put_with_keys(self, *records: tuple[str, Any]) -> list[str]:
        entries = [
            {"PartitionKey": key, "Data": data if isinstance(data, bytes) else json.dumps(data).encode()}
            for key, data in records
        ]
        answer = self.aws("kinesis").put_records(StreamName=self.name, Records=entries)
        return [record["SequenceNumber"] for record in answer["Records"]]

    def map(self, **settings: Any) -> str:
        """Creates a mapping to the function; returns its id."""
        settings = {"StartingPosition": "TRIM_HORIZON", "FunctionName": self.function.name} | settings
        mapping = self.aws("lambda").create_event_source_mapping(EventSourceArn=self.arn, **settings)
        return str(mapping["UUID"])

    def began(self) -> list[dict[str, Any]]:
        """The invocations so far, in order."""
        return [line for line in self.function.lines(self.name) if "began" in line]

    def intervals(self) -> list[tuple[float, float]]:
        """When the finished invocations began and ended."""
        lines = self.function.lines(self.name)
        ended = {line["invocation"]: line["ended"] for line in lines if "ended" in line}
        return [(line["began"], ended[line["invocation"]]) for line in self.began() if line["invocation"] in ended]

    def batches(self) -> list[list[Any]]:
        """The data of each invocation's records."""
        return [line["data"] for line in self.began()]

    def numbers(self) -> list[list[int]]:
        """The ``n`` of each invocation's records."""
        return [[data["n"] for data in batch] for batch in self.batches()]

    def seen(self) -> list[tuple[str, int]]:
        """Partition key and ``n`` of every record handed over, in order, repetitions included."""
        return [(key, data["n"]) for line in self.began() for key, data in zip(line["keys"], line["data"], strict=True)]

    def await_intervals(self, count: int) -> list[tuple[float, float]]:
        """Waits until ``count`` invocations are finished; returns them as ``intervals`` does."""
        wait_until(lambda: len(self.intervals()) >= count, 20, f"{count} finished invocations")
        return self.intervals()

    def await_numbers(self, expected: list[list[int]], seconds: float = 10) -> None:
        """Waits until there are as many invocations as expected, and asserts that they are the expected ones."""
        wait_until(lambda: len(self.numbers()) >= len(expected), seconds, f"{expected}, not {self.numbers()}")
        assert self.numbers() == expected


@contextmanager
def stream_of(function: ObedientFunction, shards: int = 1) -> Iterator[MappedStream]:
    """Creates a stream, and deletes it and its mappings in the end."""
    aws, name = function.aws, f"stream-{uuid4().hex[:8]}"
    aws("kinesis").create_stream(StreamName=name, ShardCount=shards)
    aws("kinesis").get_waiter("stream_exists").wait(StreamName=name)
    arn = aws("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    try:
        yield MappedStream(aws, name, arn, function)
    finally:
        for mapping in aws("lambda").list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]:
            aws("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
        aws("kinesis").delete_stream(StreamName=name)


@dataclass
class Queue:
    """A queue, as a destination that can be read."""

    aws: Client
    url: str
    arn: str

    def messages(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """Waits for ``count`` messages and returns their bodies; takes them off the queue."""
        bodies: list[dict[str, Any]] = []

        def received() -> bool:
            answer = self.aws("sqs").receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                bodies.append(json.loads(message["Body"]))
                self.aws("sqs").delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return len(bodies) >= count

        wait_until(received, seconds, f"{count} messages in {self.url}")
        return bodies

    def is_empty(self) -> bool:
        """Whether nothing is there now."""
        return not self.aws("sqs").receive_message(QueueUrl=self.url).get("Messages")


@contextmanager
def queue(aws: Client) -> Iterator[Queue]:
    """Creates a queue, and deletes it in the end."""
    url = aws("sqs").create_queue(QueueName=f"queue-{uuid4().hex[:8]}")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    try:
        yield Queue(aws, url, arn)
    finally:
        aws("sqs").delete_queue(QueueUrl=url)
