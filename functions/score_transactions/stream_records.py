"""Reading what producers put on the stream: bytes in, a transaction or a reason out.

Pure, and without a clock: a record's age is what it was when it arrived on the stream, so that its last delivery is
judged as its first was. Every way in which a record can be wrong has its own sentence, because the person who finds it
in the quarantine has nothing else to go by.
"""

import hashlib
import json
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any

from backbone import contracts
from backbone.errors import Rejected
from transaction import Transaction

SCHEMA = "backbone.payments/Transaction.v1"
MAXIMUM_RECORD_BYTES = 64 * 1024
# Clocks drift; a card terminal's by a minute or two.
MAXIMUM_FUTURE_SECONDS = 5 * 60
# Five days and a half allow for a producer that was cut off over a long weekend. Not more: a terminal's windows end
# seven UTC days before a transaction (features.py), so two records may be scored in any order, in one batch or in two,
# only while they lie less than six days apart. Of these, the stream may hold a record back for twelve hours
# (MaximumRecordAgeInSeconds), and an hour is left for clocks and for the batch in hand.
MAXIMUM_AGE_SECONDS = (6 * 24 - 12 - 1) * 3600


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record as it came: ``data`` is the producer's bytes, ``arrived_at`` seconds since the epoch.

    ``event_id`` is Kinesis' own "<shard id>:<sequence number>", unique in the stream.
    """

    event_id: str
    sequence_number: str
    partition_key: str
    arrived_at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class ReceivedTransaction:
    """A transaction that passed every check, with the record that brought it.

    ``digest`` tells a second delivery of the same transaction from another transaction that claims the same id.
    """

    record: StreamRecord
    transaction: Transaction
    correlation_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not scored, and why, in a sentence."""

    record: StreamRecord
    reason: str


def read_transaction(record: StreamRecord) -> ReceivedTransaction:
    """The transaction in ``record``; raises Rejected with the reason where it is none that can be scored."""
    if len(record.data) > MAXIMUM_RECORD_BYTES:
        raise Rejected(f"record of {len(record.data):,} bytes; at most {MAXIMUM_RECORD_BYTES:,} are taken")
    said = _parse_json(record.data)
    problem = contracts.violation(SCHEMA, said)
    if problem:
        raise Rejected(f"breaks schema {SCHEMA}: {problem}")
    occurred_at = _parse_timestamp(said["occurredAt"])
    age = record.arrived_at - occurred_at
    if age < -MAXIMUM_FUTURE_SECONDS:
        raise Rejected(f"occurredAt {said['occurredAt']} lay {-age:,.0f} s in the future when it arrived")
    if age > MAXIMUM_AGE_SECONDS:
        raise Rejected(
            f"occurredAt {said['occurredAt']} was {age / 86400:,.2f} days old when it arrived; "
            f"at most {MAXIMUM_AGE_SECONDS / 86400:.2f} are taken"
        )
    if record.partition_key != said["cardId"]:
        raise Rejected(f"partition key {record.partition_key!r} is not the cardId {said['cardId']!r}: order is lost")
    transaction = Transaction(
        transaction_id=said["transactionId"],
        card_id=said["cardId"],
        customer_id=said["customerId"],
        terminal_id=said["terminalId"],
        amount_minor=said["amountMinor"],
        currency=said["currency"],
        occurred_at=occurred_at,
        latitude=float(said["location"]["latitude"]),
        longitude=float(said["location"]["longitude"]),
    )
    correlation_id = said.get("correlationId") or contracts.event_id("Transaction", transaction.transaction_id)
    _require_unicode("correlationId", correlation_id)
    digest = hashlib.sha256(repr(astuple(transaction)).encode()).hexdigest()[:32]
    return ReceivedTransaction(record, transaction, correlation_id, digest)


def _parse_json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as broken:
        raise Rejected(f"not UTF-8: {broken.reason} at byte {broken.start}") from broken
    except RecursionError as broken:
        raise Rejected("not JSON that can be read: nested too deeply") from broken
    except ValueError as broken:
        raise Rejected(f"not JSON: {broken}") from broken


def _require_unicode(field: str, text: str) -> None:
    # JSON can spell half of a surrogate pair (\ud800). It is no character, and DynamoDB and the bus refuse it: better
    # one record here than a whole batch there.
    try:
        text.encode()
    except UnicodeEncodeError as broken:
        raise Rejected(f"{field} is not Unicode: {broken.reason} at character {broken.start}") from broken


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _parse_timestamp(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as broken:
        raise Rejected(f"occurredAt is no date: {text}") from broken
