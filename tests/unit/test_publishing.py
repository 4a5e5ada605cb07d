"""Publishing: an answer for every event, and calls that stay within what the bus takes."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from backbone.clients import client as client_of
from backbone.contracts import Event
from backbone.publishing import EventBus
from tests.unit.decision_builder import a_flagged_event
from tests.unit.resources import Resources

MAXIMUM_BYTES = 256 * 1024


class RecordingClient:
    """An ``events`` client that takes everything and remembers each call's entries."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's spelling
        self.calls.append(Entries)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


def an_event_of(size: int, number: int = 1) -> Event:
    """An event whose detail has about ``size`` bytes."""
    reason = {"code": "MODEL_SCORE", "severity": "low", "explanation": "x" * size}
    return a_flagged_event(number, reasons=[reason])


def test_events_reach_the_bus_as_their_envelope(resources: Resources) -> None:
    event = a_flagged_event()
    assert EventBus(resources.client("events"), "events").publish([event]) == {}
    (envelope,) = resources.published()
    assert (envelope["source"], envelope["detail-type"]) == ("backbone.payments", "TransactionFlagged")
    assert envelope["detail"] == event.detail()


def test_no_call_is_made_for_no_events() -> None:
    client = RecordingClient()
    assert EventBus(client, "events").publish([]) == {}
    assert client.calls == []


def test_events_go_in_order_and_ten_to_a_call() -> None:
    client = RecordingClient()
    EventBus(client, "events").publish([a_flagged_event(n) for n in range(23)])
    assert [len(call) for call in client.calls] == [10, 10, 3]
    sent = [json.loads(entry["Detail"])["data"]["transactionId"] for call in client.calls for entry in call]
    assert sent == [f"TX-{n}" for n in range(23)]


def test_a_call_stays_below_the_bound_on_its_bytes() -> None:
    client = RecordingClient()
    EventBus(client, "events").publish([an_event_of(100_000, n) for n in range(5)])
    assert [len(call) for call in client.calls] == [2, 2, 1]
    assert all(sum(len(entry["Detail"].encode()) for entry in call) <= MAXIMUM_BYTES for call in client.calls)


def test_an_event_that_no_call_can_carry_fails_alone() -> None:
    events = [a_flagged_event(1), an_event_of(MAXIMUM_BYTES, 2), a_flagged_event(3)]
    client = client_of("events")
    with Stubber(client) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
        stubber.add_client_error("put_events", "ValidationException")
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "3"}]})
        refused = EventBus(client, "events").publish(events)
    assert list(refused) == [events[1].metadata.event_id]


def test_only_the_entries_that_failed_are_answered_by_their_event_id() -> None:
    events = [a_flagged_event(n) for n in (1, 2, 3)]
    failed = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    client = client_of("events")
    with Stubber(client) as stubber:
        entries = [{"EventId": "1"}, failed, {"EventId": "3"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})
        refused = EventBus(client, "events").publish(events)
    assert refused == {events[1].metadata.event_id: "ThrottlingException: slow down"}


def test_a_call_that_fails_as_a_whole_fails_its_events_and_no_others() -> None:
    events = [a_flagged_event(n) for n in range(12)]
    client = client_of("events")
    with Stubber(client) as stubber:
        stubber.add_client_error("put_events", "InternalException")
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}, {"EventId": "2"}]})
        refused = EventBus(client, "events").publish(events)
    assert list(refused) == [event.metadata.event_id for event in events[:10]]
    assert all("InternalException" in reason for reason in refused.values())


def test_a_bus_that_cannot_be_reached_fails_the_events_and_raises_nothing() -> None:
    class Unreachable:
        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's spelling
            raise EndpointConnectionError(endpoint_url=f"events, {len(Entries)} entries")

    refused = EventBus(Unreachable(), "events").publish([a_flagged_event(1)])
    assert "Could not connect" in refused[a_flagged_event(1).metadata.event_id]


def test_a_number_that_json_cannot_say_never_leaves() -> None:
    driver = {"feature": "amount", "value": float("nan"), "reference": 0.0, "contribution": 0.1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        EventBus(RecordingClient(), "events").publish([a_flagged_event(1, drivers=[driver])])
