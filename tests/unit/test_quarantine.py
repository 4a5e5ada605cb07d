"""The quarantine: whole records with the reason, once, and an answer for each that could not be kept."""

import base64
from typing import Any

import pytest
from botocore.stub import Stubber

from backbone.clients import client as client_of
from quarantine import Quarantine
from stream_records import MAXIMUM_RECORD_BYTES, Refusal
from tests.unit.resources import ENVIRONMENT, Resources
from tests.unit.stream_record_builder import a_record
from tests.unit.transaction_builder import NOON


def a_refusal(position: int = 1, data: bytes = b"not json", reason: str = "not JSON") -> Refusal:
    return Refusal(a_record(data, position=position), reason)


def a_quarantine(sqs: Any, s3: Any = None) -> Quarantine:
    return Quarantine(sqs, lambda: s3, ENVIRONMENT["QUARANTINE_QUEUE_URL"], "quarantine")


@pytest.fixture
def quarantine(resources: Resources) -> Quarantine:
    return a_quarantine(resources.client("sqs"), resources.client("s3"))


def test_a_refused_record_is_kept_whole_with_the_reason(quarantine: Quarantine, resources: Resources) -> None:
    data = bytes(range(256))
    assert quarantine.put([a_refusal(data=data, reason="not UTF-8: é")]) == {}
    (body,) = resources.quarantined()
    assert base64.b64decode(body.pop("data")) == data
    assert body == {
        "reason": "not UTF-8: é",
        "streamEventId": a_refusal().record.event_id,
        "partitionKey": "CARD-000001",
        "arrivedAt": NOON + 0.25,
        "bytes": 256,
    }


def test_nothing_is_sent_for_nothing(resources: Resources) -> None:
    assert a_quarantine(sqs=None).put([]) == {}
    assert resources.quarantined() == []


def test_more_records_than_one_call_takes_are_all_kept(quarantine: Quarantine, resources: Resources) -> None:
    assert quarantine.put([a_refusal(n) for n in range(23)]) == {}
    assert {body["streamEventId"] for body in resources.quarantined()} == {
        a_refusal(n).record.event_id for n in range(23)
    }


def test_records_that_fill_more_than_one_call_are_all_kept(quarantine: Quarantine, resources: Resources) -> None:
    assert quarantine.put([a_refusal(n, b"x" * MAXIMUM_RECORD_BYTES * 2) for n in range(3)]) == {}
    assert len(resources.quarantined()) == 3


def test_a_record_that_comes_again_is_not_kept_twice(quarantine: Quarantine, resources: Resources) -> None:
    for _ in range(2):
        assert quarantine.put([a_refusal(1), a_refusal(2)]) == {}
    assert len(resources.quarantined()) == 2


def test_a_record_too_large_for_a_message_goes_to_the_bucket(quarantine: Quarantine, resources: Resources) -> None:
    data = b"x" * (128 * 1024 + 1)
    assert quarantine.put([a_refusal(data=data)]) == {}
    (body,) = resources.quarantined()
    assert "data" not in body
    kept = resources.client("s3").get_object(Bucket=body["object"]["bucket"], Key=body["object"]["key"])
    assert kept["Body"].read() == data
    assert body["object"]["key"].startswith("quarantine/")  # what the function's role may write


def test_a_reason_is_cut_where_it_would_not_end(quarantine: Quarantine, resources: Resources) -> None:
    assert quarantine.put([a_refusal(reason="x" * 10_000)]) == {}
    assert len(resources.quarantined()[0]["reason"]) == 2_000


def test_a_bucket_that_is_away_fails_its_record_alone(quarantine: Quarantine, resources: Resources) -> None:
    resources.client("s3").delete_bucket(Bucket="quarantine")
    failed = quarantine.put([a_refusal(1), a_refusal(2, data=b"x" * (128 * 1024 + 1)), a_refusal(3)])
    assert list(failed) == [a_refusal(2).record.event_id]
    assert "NoSuchBucket" in failed[a_refusal(2).record.event_id]
    assert len(resources.quarantined()) == 2


def test_a_message_that_the_queue_refuses_fails_its_record_alone() -> None:
    sqs = client_of("sqs")
    with Stubber(sqs) as stubber:
        failed = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "try again"}
        taken = [{"Id": number, "MessageId": number, "MD5OfMessageBody": "0" * 32} for number in ("0", "2")]
        stubber.add_response("send_message_batch", {"Successful": taken, "Failed": [failed]})
        answer = a_quarantine(sqs).put([a_refusal(n) for n in (1, 2, 3)])
    assert answer == {a_refusal(2).record.event_id: "InternalError: try again"}


def test_a_queue_that_is_away_fails_every_record_of_the_call() -> None:
    sqs = client_of("sqs")
    with Stubber(sqs) as stubber:
        stubber.add_client_error("send_message_batch", "RequestThrottled")
        answer = a_quarantine(sqs).put([a_refusal(1), a_refusal(2)])
    assert set(answer) == {a_refusal(n).record.event_id for n in (1, 2)}
    assert all("RequestThrottled" in reason for reason in answer.values())
