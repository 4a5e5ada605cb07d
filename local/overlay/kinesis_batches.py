"""What becomes of a batch of Kinesis records: a Lambda event source mapping's decisions, as functions of plain data.

Follows the AWS Lambda Developer Guide: "How Lambda processes records from stream and queue-based event sources",
"Configuring partial batch response with Kinesis Data Streams and Lambda" and "Retain discarded batch records for a
Kinesis Data Streams event source in Lambda". Nothing here knows the engine, a clock or a thread.

Where AWS's documentation leaves a choice open, the choice made here is:

* Retries are counted for the record that blocks the shard: when a partial response moves the checkpoint, the record at
  the new checkpoint has been tried once.
* With BisectBatchOnFunctionError a batch that fails at its very first record is halved, whether the function raised
  or reported that record; each half starts with a count of its own ("splitting batches doesn't consume the quota").
* Retries are 0.05 s apart at first, then twice as long each time up to 2 s: AWS says only that the wait grows.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

RETRY_BASE_SECONDS = 0.05
RETRY_MAX_SECONDS = 2.0
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024  # Lambda's quota for the payload of a synchronous invocation
_ENVELOPE_BYTES = 700  # at most this much of a record's event is not its data or its partition key


class KinesisRecord(TypedDict):
    """A record as Kinesis keeps it. Data is base64; the time is in seconds since 1970."""

    SequenceNumber: str
    ApproximateArrivalTimestamp: float
    Data: str
    PartitionKey: str


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one lane, and how often they were handed over in vain."""

    records: tuple[KinesisRecord, ...]
    invocations: int = 0  # the function ran and failed
    refusals: int = 0  # the function could not be run: throttled, or gone


@dataclass(frozen=True)
class RetryPolicy:
    """When to stop trying. ``maximum_retries`` is -1 for no bound."""

    bisect: bool
    maximum_retries: int
    maximum_age_seconds: float


@dataclass(frozen=True)
class Verdict:
    """What an invocation leaves to do: batches to hand over again, in order, and a batch to give up."""

    retry: tuple[Batch, ...] = ()
    discarded: Batch | None = None


@dataclass
class Gathering:
    """A batch while it is being filled."""

    records: list[KinesisRecord] = field(default_factory=list)
    payload_bytes: int = 0
    full: bool = False


def gather(
    gathering: Gathering, candidates: Iterable[KinesisRecord], batch_size: int, wanted: Callable[[KinesisRecord], bool]
) -> str | None:
    """Fills ``gathering`` with the wanted candidates, in order, until the batch size or the payload quota is reached.

    Returns the sequence number of the last candidate that is dealt with (taken, or not wanted), None where there is
    none. A single record over the quota still makes a batch of one.
    """
    reached = None
    for record in candidates:
        if wanted(record):
            size = len(record["Data"]) + len(record["PartitionKey"]) + _ENVELOPE_BYTES
            if gathering.records and gathering.payload_bytes + size > MAX_PAYLOAD_BYTES:
                gathering.full = True
                return reached
            gathering.records.append(record)
            gathering.payload_bytes += size
        reached = record["SequenceNumber"]
        if len(gathering.records) >= batch_size:
            gathering.full = True
            return reached
    return reached


def first_failed(response: object, records: Sequence[KinesisRecord]) -> int:
    """The index of the record at which to retry, by a ReportBatchItemFailures response; ``len(records)`` for success.

    Null, empty, or without failures means success. The lowest sequence number named is the checkpoint. Any name that
    is empty or not in the batch, and anything that is not a response at all, fails the whole batch (0).
    """
    if not response:
        return len(records)
    if not isinstance(response, dict):
        return 0
    failures = response.get("batchItemFailures")
    if failures is None or failures == []:
        return len(records)
    if not isinstance(failures, list):
        return 0
    index = {record["SequenceNumber"]: position for position, record in enumerate(records)}
    return min(index.get(_item_identifier(failure), 0) for failure in failures)


def after_invocation(batch: Batch, failed_at: int, policy: RetryPolicy) -> Verdict:
    """What to do after the function ran and ``batch.records[failed_at]`` is the first record that did not succeed."""
    remaining = batch.records[failed_at:]
    if not remaining:
        return Verdict()
    if policy.bisect and len(batch.records) > 1:
        return Verdict(retry=(Batch(remaining),) if failed_at else _halves(remaining))
    tried = Batch(remaining, invocations=1 if failed_at else batch.invocations + 1)
    if 0 <= policy.maximum_retries < tried.invocations:
        return Verdict(discarded=tried)
    return Verdict(retry=(tried,))


def after_refusal(batch: Batch) -> Batch:
    """The batch to try again after the function could not be run, which does not count as a retry."""
    return replace(batch, refusals=batch.refusals + 1)


def split_expired(batch: Batch, now: float, policy: RetryPolicy) -> tuple[Batch | None, Batch | None]:
    """(what is too old to be handed over, what is left); records are in the order of their arrival."""
    oldest = now - policy.maximum_age_seconds
    young = (index for index, record in enumerate(batch.records) if record["ApproximateArrivalTimestamp"] >= oldest)
    count = next(young, len(batch.records))
    expired, live = batch.records[:count], batch.records[count:]
    return (replace(batch, records=expired) if expired else None, replace(batch, records=live) if live else None)


def retry_delay(batch: Batch) -> float:
    """Seconds to wait before the batch is handed over; none where it is new, or came of a split."""
    failures = batch.invocations + batch.refusals
    return min(RETRY_BASE_SECONDS * 2.0 ** min(failures - 1, 16), RETRY_MAX_SECONDS) if failures else 0.0


def lane_of(partition_key: str, lanes: int) -> int:
    """Which of a shard's lanes (ParallelizationFactor) a key belongs to: always the same one, so its order holds."""
    return zlib.crc32(partition_key.encode()) % lanes


def lambda_event(
    records: Sequence[KinesisRecord], *, shard_id: str, source_arn: str, role_arn: str, region: str
) -> dict[str, Any]:
    """The event that the function receives."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record["PartitionKey"],
                    "sequenceNumber": record["SequenceNumber"],
                    "data": record["Data"],
                    "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{shard_id}:{record['SequenceNumber']}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": role_arn,
                "awsRegion": region,
                "eventSourceARN": source_arn,
            }
            for record in records
        ]
    }


def _item_identifier(failure: object) -> str:
    identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    return identifier if isinstance(identifier, str) else ""


def _halves(records: tuple[KinesisRecord, ...]) -> tuple[Batch, Batch]:
    middle = (len(records) + 1) // 2
    return Batch(records[:middle]), Batch(records[middle:])
