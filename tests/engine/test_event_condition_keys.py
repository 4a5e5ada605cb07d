"""PutEvents under a policy that is bound to the producer's own source and detail-type."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from ministack.core import iam_actions

from local.process import EngineProcess

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": "*",
            "Condition": {"StringEquals": {"events:source": "backbone.payments", "events:detail-type": "Paid"}},
        }
    ],
}


@pytest.fixture(scope="module")
def producer(engine: EngineProcess, aws: Callable[[str], Any]) -> Any:
    iam = aws("iam")
    iam.create_user(UserName="producer")
    iam.put_user_policy(UserName="producer", PolicyName="own-events", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="producer")["AccessKey"]
    return Session().create_client(
        "events",
        endpoint_url=engine.endpoint,
        region_name="eu-central-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def entry(source: str, detail_type: str) -> dict[str, str]:
    return {"Source": source, "DetailType": detail_type, "Detail": "{}"}


def test_put_events_is_allowed_for_the_source_and_type_of_the_grant(producer: Any) -> None:
    assert producer.put_events(Entries=[entry("backbone.payments", "Paid")])["FailedEntryCount"] == 0


@pytest.mark.parametrize(("source", "detail_type"), [("backbone.chat", "Paid"), ("backbone.payments", "Refunded")])
def test_put_events_is_denied_for_another_source_or_type(producer: Any, source: str, detail_type: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        producer.put_events(Entries=[entry(source, detail_type)])


def test_put_events_is_denied_when_one_of_several_events_is_not_granted(producer: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        producer.put_events(Entries=[entry("backbone.payments", "Paid"), entry("backbone.chat", "Paid")])


def test_engine_still_lacks_the_condition_keys_of_put_events() -> None:
    body = json.dumps({"Entries": [entry("backbone.payments", "Paid")]}).encode()
    assert "events:source" not in iam_actions.request_tag_context("events", "events:PutEvents", body, {})
