"""Where records go that can never be scored: kept whole, with the reason, for a person to look at.

A FIFO queue, deduplicated by the record's own id, so that a batch that Kinesis brings again (within the queue's five
minutes) does not put the same record there twice. A record too large for a message is kept in the bucket and the
message says where.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stream_records import Refusal

# A message may be 256 KB (1 MiB since 2025, but not yet in every region); base64 adds a third.
_INLINE_BYTES = 128 * 1024
_ENTRIES_PER_CALL = 10
_BYTES_PER_CALL = 256 * 1024
_MAXIMUM_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The quarantine's queue and bucket. ``s3`` makes the client, for it is hardly ever needed."""

    sqs: Any
    s3: Callable[[], Any]
    queue_url: str
    bucket: str

    def put(self, refusals: Sequence[Refusal]) -> dict[str, str]:
        """Quarantines ``refusals``; returns the failure per record's event id for those that could not be."""
        failed: dict[str, str] = {}
        entries = []
        for refusal in refusals:
            try:
                entries.append((refusal.record.event_id, self._entry(refusal)))
            except (ClientError, BotoCoreError) as broken:
                failed[refusal.record.event_id] = f"put_object: {broken}"
        for batch in _batches(entries):
            failed |= self._send(batch)
        return failed

    def _send(self, batch: list[tuple[str, dict[str, str]]]) -> dict[str, str]:
        numbered = [{"Id": str(number), **entry} for number, (_, entry) in enumerate(batch)]
        try:
            answer = self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=numbered)
        except (ClientError, BotoCoreError) as broken:
            return {identity: f"send_message_batch: {broken}" for identity, _ in batch}
        return {
            batch[int(entry["Id"])][0]: f"{entry['Code']}: {entry.get('Message', '')}"
            for entry in answer.get("Failed", [])
        }

    def _entry(self, refusal: Refusal) -> dict[str, str]:
        record = refusal.record
        body: dict[str, Any] = {
            "reason": refusal.reason[:_MAXIMUM_REASON],
            "streamEventId": record.event_id,
            "partitionKey": record.partition_key,
            "arrivedAt": record.arrived_at,
            "bytes": len(record.data),
        }
        if len(record.data) <= _INLINE_BYTES:
            body["data"] = base64.b64encode(record.data).decode()
        else:
            key = f"quarantine/{record.event_id}"
            self.s3().put_object(Bucket=self.bucket, Key=key, Body=record.data)
            body["object"] = {"bucket": self.bucket, "key": key}
        return {
            "MessageBody": json.dumps(body),
            "MessageGroupId": record.event_id.partition(":")[0],
            "MessageDeduplicationId": record.event_id,
        }


def _batches(entries: list[tuple[str, dict[str, str]]]) -> list[list[tuple[str, dict[str, str]]]]:
    batches: list[list[tuple[str, dict[str, str]]]] = []
    size = 0
    for entry in entries:
        length = len(entry[1]["MessageBody"])
        if not batches or len(batches[-1]) == _ENTRIES_PER_CALL or size + length > _BYTES_PER_CALL:
            batches.append([])
            size = 0
        batches[-1].append(entry)
        size += length
    return batches
