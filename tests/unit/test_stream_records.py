"""Reading the stream: every way in which a record can be wrong has its own reason, whatever the clock says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.errors import Rejected
from stream_records import MAXIMUM_AGE_SECONDS, MAXIMUM_FUTURE_SECONDS, MAXIMUM_RECORD_BYTES, read_transaction
from tests.unit.stream_record_builder import a_document, a_record, written
from tests.unit.transaction_builder import NOON
from transaction import Transaction


def reason_for(document: dict[str, Any] | bytes, **record: Any) -> str:
    """Why the record is refused; fails where it is not."""
    with pytest.raises(Rejected) as rejected:
        read_transaction(a_record(document, **record))
    return rejected.value.reason


def test_a_transaction_is_read_field_by_field() -> None:
    received = read_transaction(a_record(a_document(7, correlationId="order-7")))
    assert received.transaction == Transaction(
        "TX-7", "CARD-000001", "CUST-000001", "TERM-00001", 2_000, "EUR", NOON, 50.85, 4.35
    )
    assert received.correlation_id == "order-7"


def test_correlation_id_is_made_from_the_transaction_id_where_the_producer_has_none() -> None:
    first, again = (read_transaction(a_record(a_document(7), position=position)) for position in (1, 2))
    assert first.correlation_id == again.correlation_id
    assert first.correlation_id != read_transaction(a_record(a_document(8))).correlation_id


def test_unknown_fields_are_let_through_and_do_not_change_the_digest() -> None:
    plain, extended = (read_transaction(a_record(document)) for document in (a_document(), a_document(loyalty="gold")))
    assert plain.digest == extended.digest


def test_whole_degrees_read_as_the_same_transaction_as_degrees_with_a_point() -> None:
    whole = read_transaction(a_record(a_document(location={"latitude": 50, "longitude": 4})))
    point = read_transaction(a_record(a_document(location={"latitude": 50.0, "longitude": 4.0})))
    assert whole.digest == point.digest


@pytest.mark.parametrize(
    "change",
    [
        {"amountMinor": 2_001},
        {"currency": "USD"},
        {"terminalId": "TERM-00002"},
        {"customerId": "CUST-000002"},
        {"occurredAt": written(NOON + 1)},
        {"location": {"latitude": 50.85, "longitude": 4.36}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_digest_tells_another_transaction_under_the_same_id(change: dict[str, Any]) -> None:
    assert read_transaction(a_record(a_document(**change))).digest != read_transaction(a_record(a_document())).digest


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b'{"transactionId": ', b"{'a': 1}", b'{"amountMinor": NaN}', b'{"amountMinor": Infinity}'],
)
def test_what_is_not_json_is_refused_as_that(data: bytes) -> None:
    assert reason_for(data).startswith("not JSON")


def test_what_is_nested_too_deeply_is_refused_and_not_a_crash() -> None:
    assert "nested too deeply" in reason_for(b"[" * 60_000)


def test_what_is_not_utf_8_is_refused_with_the_place() -> None:
    assert reason_for(b'{"a": "\xff"}') == "not UTF-8: invalid start byte at byte 7"


@pytest.mark.parametrize("document", [b"null", b"[]", b'"text"', b"3", b"{}"])
def test_json_of_another_shape_breaks_the_schema(document: bytes) -> None:
    assert reason_for(document).startswith("breaks schema backbone.payments/Transaction.v1: data must ")


@pytest.mark.parametrize("field", sorted(a_document()))
def test_each_missing_field_breaks_the_schema_by_its_name(field: str) -> None:
    document = a_document()
    del document[field]
    assert field in reason_for(document)


@pytest.mark.parametrize("amount", [-2_000, -1, 0, 100_000_001, 10**4_000, 19.99, 20.0, "2000", True, None])
def test_a_negative_or_absurd_amount_breaks_the_schema(amount: object) -> None:
    assert "data.amountMinor must" in reason_for(a_document(amountMinor=amount))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "euro"),
        ("transactionId", ""),
        ("transactionId", "TX-1\n"),
        ("transactionId", "x" * 65),
        ("cardId", "CARD#1"),
        ("occurredAt", "2023-11-15"),
        ("occurredAt", "2023-11-15T12:00:00+01:00"),
        ("location.latitude", 90.5),
        ("location.longitude", -181),
        ("location.longitude", "4.35"),
        ("correlationId", ""),
    ],
)
def test_each_absurd_value_breaks_the_schema_by_its_name(field: str, value: object) -> None:
    outer, _, inner = field.partition(".")
    document = a_document()
    document[outer] = document[outer] | {inner: value} if inner else value
    assert f"data.{field} must" in reason_for(document)


def test_a_number_beyond_a_float_is_refused() -> None:
    document = json.dumps(a_document()).replace("50.85", "1e400")
    assert "data.location.latitude must" in reason_for(document.encode())


@pytest.mark.parametrize("day", ["2023-02-30T12:00:00Z", "0000-01-01T00:00:00Z", "2023-11-15T12:00:60Z"])
def test_a_date_that_there_is_not_is_refused(day: str) -> None:
    assert reason_for(a_document(occurredAt=day)) == f"occurredAt is no date: {day}"


def test_half_a_surrogate_pair_in_the_correlation_id_is_refused() -> None:
    assert "correlationId is not Unicode" in reason_for(a_document(correlationId="\ud800"))


def test_a_huge_record_is_refused_with_its_size_and_the_bound() -> None:
    padding = "x" * MAXIMUM_RECORD_BYTES
    assert reason_for(a_document(note=padding)).endswith("bytes; at most 65,536 are taken")


def test_a_record_of_exactly_the_bound_is_taken() -> None:
    bare = len(json.dumps(a_document(note="")))
    record = a_record(a_document(note="x" * (MAXIMUM_RECORD_BYTES - bare)))
    assert len(record.data) == MAXIMUM_RECORD_BYTES
    assert read_transaction(record).transaction.transaction_id == "TX-1"


def test_a_partition_key_other_than_the_card_is_refused() -> None:
    assert "partition key 'other' is not the cardId 'CARD-000001'" in reason_for(a_document(), partition_key="other")


def test_a_future_timestamp_is_refused_beyond_the_drift_of_clocks() -> None:
    allowed = a_document(occurred_at=NOON + MAXIMUM_FUTURE_SECONDS)
    assert read_transaction(a_record(allowed, arrived_at=NOON)).transaction.occurred_at == NOON + 300
    refused = a_document(occurred_at=NOON + MAXIMUM_FUTURE_SECONDS + 1)
    assert "lay 301 s in the future when it arrived" in reason_for(refused, arrived_at=NOON)


def test_an_ancient_timestamp_is_refused_beyond_five_days_and_a_half() -> None:
    allowed = a_document(occurred_at=NOON - MAXIMUM_AGE_SECONDS)
    assert read_transaction(a_record(allowed, arrived_at=NOON)).transaction.occurred_at == NOON - MAXIMUM_AGE_SECONDS
    refused = a_document(occurred_at=NOON - 30 * 86_400)
    assert "was 30.00 days old when it arrived; at most 5.46 are taken" in reason_for(refused, arrived_at=NOON)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_never_crash(data: bytes) -> None:
    with pytest.raises(Rejected):
        read_transaction(a_record(data))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*sorted(a_document()), "correlationId"]), _JSON)
def test_any_value_in_any_field_is_read_or_refused_and_never_crashes(field: str, value: object) -> None:
    record = a_record(a_document() | {field: value}, partition_key="CARD-000001")
    try:
        received = read_transaction(record)
    except Rejected:
        return
    assert received.record is record
