"""What Lambda hands to a handler: event payloads as AWS shapes them, the sample files, and a context."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from stream_records import StreamRecord

SAMPLES = Path(__file__).resolve().parents[2] / "events"


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context that Powertools reads."""

    function_name: str = "under-test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:under-test"
    aws_request_id: str = "8c1f4a0e-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def sample(function: str, name: str) -> dict[str, Any]:
    """The sample event events/<function>/<name>.json."""
    event: dict[str, Any] = json.loads((SAMPLES / function / f"{name}.json").read_text())
    return event


def samples(function: str) -> list[str]:
    """The names of a function's sample events."""
    return sorted(path.stem for path in (SAMPLES / function).glob("*.json"))


def kinesis_event(records: Sequence[StreamRecord]) -> dict[str, Any]:
    """An invocation by a Kinesis event source mapping."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record.partition_key,
                    "sequenceNumber": record.sequence_number,
                    "data": base64.b64encode(record.data).decode(),
                    "approximateArrivalTimestamp": record.arrived_at,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": record.event_id,
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::123456789012:role/role",
                "awsRegion": "eu-central-1",
                "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/transactions",
            }
            for record in records
        ]
    }


def sqs_event(*bodies: object) -> dict[str, Any]:
    """An invocation by an SQS event source mapping; a body that is no text is sent as JSON."""
    return {
        "Records": [
            {
                "messageId": str(uuid4()),
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767268800512"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:queue",
                "awsRegion": "eu-central-1",
            }
            for body in bodies
        ]
    }


def metrics_in(output: str) -> dict[str, float]:
    """The values of the embedded metrics in a handler's standard output; the last document's where there are more."""
    documents = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    return {name: sum(value) for name, value in documents[-1].items() if isinstance(value, list)}
