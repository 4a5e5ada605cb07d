"""FilterCriteria of a Kinesis event source mapping: which records reach the function.

Follows the AWS Lambda Developer Guide, "Control which events Lambda sends to your function" and "Using event filtering
with a Kinesis event source". A record passes if it matches any of the patterns. ``data`` in a pattern speaks of the
record's data as JSON, any other key of its metadata; data that is not JSON never passes a pattern that names ``data``.
(The current edition of the guide promises ``data`` only; metadata is what the engine and earlier editions do.)

Patterns have the syntax of EventBridge, so the engine's own EventBridge matcher judges them: its Lambda service has a
smaller one of its own, which knows no ``$or`` and no ``equals-ignore-case`` and lets a malformed pattern pass all.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge

from local.overlay.engine_hooks import original
from local.overlay.kinesis_batches import KinesisRecord

_compiled_pattern = original(eventbridge, "_compiled_pattern")
_matches_detail = original(eventbridge, "_matches_detail")
_event_pattern_error = original(eventbridge, "_event_pattern_error")


def pattern_error(pattern: str) -> str | None:
    """Why AWS would refuse the pattern, or None."""
    reason: str | None = _event_pattern_error(pattern)
    return reason


def record_filter(patterns: tuple[str, ...]) -> Callable[[KinesisRecord], bool]:
    """Whether a record is to reach the function, by patterns in JSON text; without patterns every record is."""
    if not patterns:
        return lambda _record: True
    alternatives = [alternative for pattern in patterns for alternative in _compiled_pattern(pattern) or ()]
    return lambda record: any(_matches(record, alternative) for alternative in alternatives)


def _matches(record: KinesisRecord, alternative: dict[Any, Any]) -> bool:
    view: dict[str, Any] = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record["PartitionKey"],
        "sequenceNumber": record["SequenceNumber"],
        "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        "eventSource": "aws:kinesis",
        "eventName": "aws:kinesis:record",
        "eventVersion": "1.0",
    }
    if "data" in alternative:
        try:
            view["data"] = json.loads(base64.b64decode(record["Data"], validate=True))
        except ValueError:  # not base64, not UTF-8, or not JSON
            return False
    return bool(_matches_detail(view, alternative))
