"""A deployed stack as a test sees it: its outputs, its resources, and the few things that every test does with it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.process import PROJECT, EngineProcess
from local.stack import DEPLOYMENT_BUCKET, REGION, build, sam_environment
from local.traffic import entry, put_entries
from models.fraud.simulate import as_stream_record
from tests.engine.queues import Queue, a_queue
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until
from transaction import Transaction


def now() -> int:
    """Seconds since the epoch, whole."""
    return int(time.time())


@dataclass(frozen=True)
class Stack:
    """The stack ``name`` on the engine. ``outputs`` by key; ``resource`` answers physical ids by logical id."""

    name: str
    client: Client
    outputs: Mapping[str, str]
    resources: Mapping[str, str]

    def resource(self, logical_id: str) -> str:
        return self.resources[logical_id]

    def put(self, *transactions: Transaction) -> None:
        """Puts transactions on the stream, in order."""
        put_entries(self.client("kinesis"), self.outputs["TransactionsStreamName"], map(entry, transactions))

    def put_bytes(self, data: bytes, partition_key: str = "CARD-BAD") -> str:
        """Puts anything on the stream; returns "<shard id>:<sequence number>"."""
        answer = self.client("kinesis").put_record(
            StreamName=self.outputs["TransactionsStreamName"], Data=data, PartitionKey=partition_key
        )
        return f"{answer['ShardId']}:{answer['SequenceNumber']}"

    def row(self, transaction_id: str, seconds: float = 30) -> dict[str, Any]:
        """The transaction's row, once it is there."""
        dynamodb, key = self.client("dynamodb"), {"transactionId": {"S": transaction_id}}

        def read() -> dict[str, Any] | None:
            answer = dynamodb.get_item(TableName=self.outputs["TransactionsTableName"], Key=key, ConsistentRead=True)
            item: dict[str, Any] | None = answer.get("Item")
            return item

        found = wait_until(read, seconds, f"a row for {transaction_id}")
        assert found
        return {name: next(iter(value.values())) for name, value in found.items()}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every row of the Transactions table by transaction id."""
        return self.items("TransactionsTableName", "transactionId")

    def items(self, table_output: str, key: str) -> dict[str, dict[str, Any]]:
        """Every item of a table by its key, values without DynamoDB's types."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[table_output])
        items = [
            {name: next(iter(value.values())) for name, value in item.items()} for p in pages for item in p["Items"]
        ]
        return {item[key]: item for item in items}

    def queue(self, logical_id: str) -> Queue:
        """One of the stack's queues."""
        sqs, url = self.client("sqs"), self.resource(logical_id)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return Queue(sqs, logical_id, url, arn)

    def depth(self, logical_id: str) -> int:
        """How many messages a queue holds, seen or unseen."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.resource(logical_id), AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    @contextmanager
    def listening_to(self, topic_arn: str) -> Iterator[Queue]:
        """A queue that is subscribed to a topic for as long as the test lasts."""
        queue, sns = a_queue(self.client, "sns.amazonaws.com"), self.client("sns")
        subscription = sns.subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": "true"}
        )["SubscriptionArn"]
        try:
            yield queue
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
            queue.sqs.delete_queue(QueueUrl=queue.url)


def a_transaction(**changes: Any) -> Transaction:
    """A small payment of now, by a card that was never used: tests do not meet on one."""
    fresh = uuid4().hex
    values: dict[str, Any] = {
        "transaction_id": f"TX-{fresh}",
        "card_id": f"CARD-{fresh[:12]}",
        "customer_id": f"CUST-{fresh[:12]}",
        "terminal_id": "TERM-00001",
        "amount_minor": 2_000,
        "currency": "EUR",
        "occurred_at": now(),
        "latitude": 50.85,
        "longitude": 4.35,
    }
    return Transaction(**(values | changes))


def same_card(transaction: Transaction, **changes: Any) -> Transaction:
    """Another transaction of the same card and customer."""
    return a_transaction(card_id=transaction.card_id, customer_id=transaction.customer_id, **changes)


def body_of(transaction: Transaction, **changes: Any) -> bytes:
    """The JSON that a producer sends, with some of its fields changed."""
    return json.dumps({**as_stream_record(transaction), **changes}).encode()


def deploy(name: str, engine: EngineProcess, aws: Client, parameters: Mapping[str, str]) -> Stack:
    """Builds and deploys by ``sam`` with config env "local"; AssertionError or StackError says what failed."""
    build(engine.home / "build.log")
    buckets = [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]
    if DEPLOYMENT_BUCKET not in buckets:
        place = {"LocationConstraint": REGION}
        aws("s3").create_bucket(Bucket=DEPLOYMENT_BUCKET, CreateBucketConfiguration=place)
    overrides = [f"{key}={value}" for key, value in {"AwsEndpointUrl": engine.endpoint, **parameters}.items()]
    sam(engine, "deploy", "--config-env", "local", "--stack-name", name, "--parameter-overrides", *overrides)
    return described(name, aws)


def described(name: str, aws: Client) -> Stack:
    """The stack as CloudFormation describes it."""
    cloudformation = aws("cloudformation")
    outputs = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        name,
        aws,
        {output["OutputKey"]: output["OutputValue"] for output in outputs},
        {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )


def sam(engine: EngineProcess, *arguments: str, seconds: float = 180) -> str:
    """Runs the real SAM CLI against the engine; returns what it printed, AssertionError with all of it if it fails."""
    done = subprocess.run(
        [Path(sys.executable).parent / "sam", *arguments],
        cwd=PROJECT,
        env=sam_environment(engine.endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"sam {' '.join(arguments)} failed:\n{done.stdout}"
    return done.stdout


def iam_decision(stack: Stack, role: str, action: str, resource_arn: str) -> str:
    """What IAM's simulator says of one action of a role of the stack on one resource: allowed, implicitDeny, ..."""
    iam = stack.client("iam")
    role_arn = iam.get_role(RoleName=stack.resource(role))["Role"]["Arn"]
    answer = iam.simulate_principal_policy(PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[resource_arn])
    return str(answer["EvaluationResults"][0]["EvalDecision"])


def table_arn(stack: Stack, table: str) -> str:
    """The ARN of a table by its logical id."""
    return f"arn:aws:dynamodb:{REGION}:000000000000:table/{stack.resource(table)}"
