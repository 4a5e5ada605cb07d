"""Builders for what comes from the stream: the producer's document, the record around it, the transaction in it."""

import json
from datetime import UTC, datetime
from typing import Any

from stream_records import ReceivedTransaction, StreamRecord, read_transaction
from tests.unit.transaction_builder import NOON

SHARD = "shardId-000000000000"


def written(seconds: int) -> str:
    """Seconds since the epoch as a producer writes them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_document(number: int = 1, *, occurred_at: int = NOON, **changes: Any) -> dict[str, Any]:
    """What a producer says of a small payment in Brussels; ``changes`` replace fields."""
    return {
        "transactionId": f"TX-{number}",
        "cardId": "CARD-000001",
        "customerId": "CUST-000001",
        "terminalId": "TERM-00001",
        "amountMinor": 2_000,
        "currency": "EUR",
        "occurredAt": written(occurred_at),
        "location": {"latitude": 50.85, "longitude": 4.35},
    } | changes


def a_record(
    document: dict[str, Any] | bytes | None = None,
    *,
    position: int = 1,
    arrived_at: float = NOON + 0.25,
    partition_key: str | None = None,
) -> StreamRecord:
    """A record at ``position`` of its shard. Its partition key is the document's card where there is one."""
    said = a_document(position) if document is None else document
    card = said.get("cardId", "CARD-000001") if isinstance(said, dict) else "CARD-000001"
    return StreamRecord(
        event_id=f"{SHARD}:{position:056d}",
        sequence_number=f"{position:056d}",
        partition_key=card if partition_key is None else partition_key,
        arrived_at=arrived_at,
        data=said if isinstance(said, bytes) else json.dumps(said).encode(),
    )


def a_received(document: dict[str, Any] | None = None, *, position: int = 1) -> ReceivedTransaction:
    """A transaction that was read from its record."""
    return read_transaction(a_record(document, position=position))
