"""The record of a batch that a Kinesis event source mapping gave up, and its way to the on-failure destination.

Follows the AWS Lambda Developer Guide, "Retain discarded batch records for a Kinesis Data Streams event source in
Lambda": SQS and SNS receive where the records are to be found, S3 receives the records too. It is sent with the
execution role's own credentials, as on AWS, so that a role without ``sqs:SendMessage`` shows here.
"""

import functools
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from botocore.config import Config
from botocore.session import Session

from local.overlay.kinesis_batches import KinesisRecord

type Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]

_client_creation = threading.Lock()  # a botocore client may be shared between threads, its making may not


@dataclass(frozen=True)
class Discard:
    """A batch that was given up. ``function_error`` says that its last invocation raised, timed out or crashed."""

    records: Sequence[KinesisRecord]
    condition: Condition
    invocations: int
    function_error: bool
    function_arn: str
    function_version: str
    mapping_id: str
    shard_id: str
    stream_arn: str


def invocation_record(discard: Discard, now: datetime) -> dict[str, Any]:
    """The JSON document as AWS documents it. ``responseContext`` is left out where the function was never run."""
    first, last = discard.records[0], discard.records[-1]
    response = {"statusCode": 200, "executedVersion": discard.function_version}
    if discard.function_error:
        response["functionError"] = "Unhandled"
    return {
        "requestContext": {
            # The engine tells nobody the id of the invocation; this one names the record.
            "requestId": str(uuid4()),
            "functionArn": discard.function_arn,
            "condition": discard.condition,
            "approximateInvokeCount": discard.invocations,
        },
        **({"responseContext": response} if discard.invocations else {}),
        "version": "1.0",
        "timestamp": _iso(now),
        "KinesisBatchInfo": {
            "shardId": discard.shard_id,
            "startSequenceNumber": first["SequenceNumber"],
            "endSequenceNumber": last["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _arrival(first),
            "approximateArrivalOfLastRecord": _arrival(last),
            "batchSize": len(discard.records),
            "streamArn": discard.stream_arn,
        },
    }


def send(
    discard: Discard,
    event: dict[str, Any],
    *,
    destination: str,
    credentials: Mapping[str, str],
    endpoint: str,
    now: datetime,
) -> None:
    """Sends the record to the queue, topic or bucket named by the ARN ``destination``.

    Raises botocore's ClientError where the role may not, and ValueError for any other kind of destination.
    """
    record = invocation_record(discard, now)
    _, _, service, region, account, resource = destination.split(":", 5)
    client = functools.partial(
        _client,
        endpoint=endpoint,
        region=region or discard.function_arn.split(":")[3],
        access_key=credentials["AWS_ACCESS_KEY_ID"],
        secret_key=credentials["AWS_SECRET_ACCESS_KEY"],
        token=credentials["AWS_SESSION_TOKEN"],
    )
    match service:
        case "sqs":
            client("sqs").send_message(QueueUrl=f"{endpoint}/{account}/{resource}", MessageBody=json.dumps(record))
        case "sns":
            client("sns").publish(TopicArn=destination, Message=json.dumps(record))
        case "s3":
            body = json.dumps(record | {"payload": json.dumps(event)})
            client("s3").put_object(Bucket=resource, Key=object_key(discard, now), Body=body.encode())
        case _:
            raise ValueError(f"{destination}: a Kinesis mapping's on-failure destination is SQS, SNS or S3")


def object_key(discard: Discard, now: datetime) -> str:
    """The name of the record's object in S3, as AWS documents it."""
    return f"aws/lambda/{discard.mapping_id}/{discard.shard_id}/{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid4()}"


def _arrival(record: KinesisRecord) -> str:
    return _iso(datetime.fromtimestamp(record["ApproximateArrivalTimestamp"], UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _client(service: str, **settings: str) -> Any:
    with _client_creation:
        return _cached_client(service, **settings)


@functools.lru_cache(maxsize=32)
def _cached_client(service: str, *, endpoint: str, region: str, access_key: str, secret_key: str, token: str) -> Any:
    client = Session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}, read_timeout=30),
    )
    client.meta.events.register("before-call", _as_if_over_tls)
    return client


def _as_if_over_tls(params: dict[str, Any], **_: object) -> None:
    # Lambda calls its destinations over TLS, so a policy that denies anything else (aws:SecureTransport) lets it pass.
    # The engine listens without TLS and judges by this header, as it would behind a proxy.
    params["headers"]["X-Forwarded-Proto"] = "https"
