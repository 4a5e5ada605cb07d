"""The event contract: what is built can be read again, and what breaks a schema neither leaves nor enters."""

import json
import re
import uuid
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.errors import Rejected
from tests.unit.decision_builder import a_flagged_event

ID = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def envelope_of(event: Event) -> dict[str, Any]:
    """What EventBridge delivers for ``event``, as far as reading it goes; through JSON, as on the way."""
    envelope = {"source": event.source, "detail-type": event.detail_type, "detail": event.detail()}
    copied: dict[str, Any] = json.loads(json.dumps(envelope))
    return copied


def reason_for(envelope: object) -> str:
    """Why the envelope is rejected; fails where it is not."""
    with pytest.raises(Rejected) as rejected:
        contracts.parse("TransactionFlagged", envelope)
    return rejected.value.reason


def test_an_event_that_was_built_is_read_back_as_it_was() -> None:
    event = a_flagged_event()
    assert contracts.parse("TransactionFlagged", envelope_of(event)) == event


def test_a_trace_goes_with_the_event_where_there_is_one() -> None:
    event = a_flagged_event()
    assert "traceparent" not in event.detail()["metadata"]
    traced = replace(event, metadata=replace(event.metadata, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    assert contracts.parse("TransactionFlagged", envelope_of(traced)) == traced


@pytest.mark.parametrize(
    ("field", "value"),
    [("score", 1.5), ("severity", "grave"), ("reasons", []), ("amountMinor", 0), ("occurredAt", "today")],
)
def test_an_event_that_breaks_its_schema_is_not_built(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"TransactionFlagged v1 breaks its schema: data.data.{field}"):
        a_flagged_event(1, **{field: value})


def test_an_event_is_not_built_with_an_id_of_its_own_invention() -> None:
    event = a_flagged_event()
    with pytest.raises(ValueError, match="eventId"):
        contracts.build("TransactionFlagged", event.data, replace(event.metadata, event_id="1"))


def test_a_consumer_ignores_fields_that_it_does_not_know() -> None:
    envelope = envelope_of(a_flagged_event())
    envelope["detail"]["data"]["merchantCategory"] = "5411"
    assert contracts.parse("TransactionFlagged", envelope).data["merchantCategory"] == "5411"


@pytest.mark.parametrize("field", ["eventId", "correlationId", "causationId", "occurredAt", "producer"])
def test_an_event_without_a_field_of_its_metadata_is_rejected_by_name(field: str) -> None:
    envelope = envelope_of(a_flagged_event())
    del envelope["detail"]["metadata"][field]
    assert field in reason_for(envelope)


@pytest.mark.parametrize("version", [2, 0, -1, "1", 1.0, True, None, [], "1/../../Transaction.v1"])
def test_an_event_of_an_unknown_version_is_rejected(version: object) -> None:
    envelope = envelope_of(a_flagged_event())
    envelope["detail"]["metadata"]["eventVersion"] = version
    assert reason_for(envelope) == f"TransactionFlagged of an unknown version: {version!r}"


@pytest.mark.parametrize("change", [{"detail-type": "CustomerNotified"}, {"source": "backbone.chat"}, {"source": None}])
def test_another_event_is_rejected(change: dict[str, Any]) -> None:
    assert reason_for(envelope_of(a_flagged_event()) | change).startswith("expected TransactionFlagged, got ")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_what_is_no_envelope_is_rejected_and_never_crashes(envelope: object) -> None:
    assert reason_for(envelope)


@given(_JSON, st.sampled_from([(), ("metadata",), ("metadata", "eventVersion"), ("data",), ("data", "reasons")]))
def test_a_drifted_detail_is_rejected_or_read_and_never_crashes(value: object, place: tuple[str, ...]) -> None:
    envelope = deepcopy(envelope_of(a_flagged_event()))
    path = ("detail", *place)
    holder = envelope
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    try:
        event = contracts.parse("TransactionFlagged", envelope)
    except Rejected:
        return
    assert event.detail() == envelope["detail"]


@given(st.text(), st.text())
def test_event_ids_are_uuids_that_differ_by_key_and_by_type(key: str, other: str) -> None:
    said = contracts.event_id("TransactionFlagged", key)
    assert said == contracts.event_id("TransactionFlagged", key)
    assert str(uuid.UUID(said)) == said
    assert (contracts.event_id("TransactionFlagged", other) == said) == (other == key)
    assert contracts.event_id("CustomerNotified", key) != said


def test_event_ids_are_the_same_in_every_release() -> None:
    """A changed id would publish again, as new, what was published by the release before."""
    assert contracts.event_id("TransactionFlagged", "TX-1") == "c3a4e3a6-f823-5513-86b0-9cf2c9c4515a"


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)))  # noqa: DTZ001 - hypothesis adds no zone; below does
def test_a_timestamp_is_utc_to_the_millisecond_and_fits_the_schema(moment: datetime) -> None:
    seconds = moment.replace(tzinfo=UTC).timestamp()
    said = contracts.timestamp(seconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said)
    assert abs(datetime.fromisoformat(said) - datetime.fromtimestamp(seconds, UTC)) < timedelta(milliseconds=1)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.booleans())
def test_a_trace_header_becomes_the_same_trace_in_w3c(trace: bytes, parent: bytes, sampled: bool) -> None:
    root = trace.hex()
    header = f"Root=1-{root[:8]}-{root[8:]};Parent={parent.hex()};Sampled={int(sampled)};Lineage=1:a87bd80c:0"
    assert contracts.traceparent(header) == f"00-{root}-{parent.hex()}-0{int(sampled)}"


@pytest.mark.parametrize("header", [None, "", "Root=1-5759e988-bd862e3fe1be46a994272793", "Sampled=1", "nonsense"])
def test_a_trace_header_that_is_absent_or_incomplete_is_no_trace(header: str | None) -> None:
    assert contracts.traceparent(header) is None


@given(
    st.text() | st.from_regex(r"Root=1-[0-9a-gA-F]{8}-[0-9a-g]{23,25};Parent=[0-9a-g]{16};Sampled=.", fullmatch=True)
)
def test_any_trace_header_becomes_none_or_what_the_schema_takes(header: str) -> None:
    said = contracts.traceparent(header)
    assert said is None or TRACEPARENT.fullmatch(said)


def test_metadata_is_what_the_schema_says_it_is() -> None:
    names = {"".join([first, *map(str.title, rest)]) for first, *rest in map(str.split, _field_names())}
    schema = contracts._SCHEMAS / "backbone.payments" / "TransactionFlagged.v1.json"
    assert names == set(json.loads(schema.read_text())["properties"]["metadata"]["properties"])


def _field_names() -> list[str]:
    return [name.replace("_", " ") for name in Metadata.__dataclass_fields__]


def a_cause(depth: int, traceparent: str | None = None) -> contracts.Event:
    cause = contracts.Cause("order-1", "record-1", depth, 0.0, "tests", traceparent)
    return cause.event("CaseOpened", "case-1", {"caseId": ID, "customerId": "C-1", "kind": "chat", "openedBy": "agent"})


@pytest.mark.parametrize(("depth", "after"), [(0, 1), (7, 8), (999, 1000), (1000, 1000)])
def test_what_an_event_leads_to_lies_one_deeper_but_no_deeper_than_the_schemas_go(depth: int, after: int) -> None:
    first = a_cause(depth)
    envelope = {"detail-type": first.detail_type, "source": first.source, "detail": first.detail()}
    assert contracts.parse("CaseOpened", envelope) == first
    cause = contracts.caused_by(first, 60.0, "tests")
    assert cause == contracts.Cause("order-1", first.metadata.event_id, after, 60.0, "tests")
    assert contracts.violation("backbone.cases/CaseOpened.v1", a_cause(after).detail()) is None


@pytest.mark.parametrize("own", [None, f"00-{'c' * 32}-{'d' * 16}-01"])
def test_trace_of_a_cause_goes_on_where_there_is_none_of_its_own(own: str | None) -> None:
    first = a_cause(0, f"00-{'a' * 32}-{'b' * 16}-01")
    assert contracts.caused_by(first, 0.0, "tests", own).traceparent == (own or first.metadata.traceparent)


def test_event_of_a_cause_leaves_out_what_is_none() -> None:
    data = {"caseId": ID, "customerId": "C-1", "kind": "chat", "openedBy": "agent", "transactionId": None}
    event = contracts.Cause("order-1", "record-1", 0, 0.0, "tests").event("CaseOpened", "case-1", data)
    assert ("transactionId" in event.data, "causationDepth" in event.detail()["metadata"]) == (False, False)
