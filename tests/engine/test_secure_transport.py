"""TLS-only policies against callers on this machine."""

import json
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import pytest
from ministack.core import iam_evaluator

from local.overlay.secure_transport import LoopbackIsSecure
from tests.engine.callers import a_user
from tests.engine.stacks import Client


def test_tls_only_bucket_takes_an_object_from_a_user_on_this_machine(aws: Client) -> None:
    s3, bucket = aws("s3"), f"tls-only-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    deny: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    with a_user(aws, {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": resource}) as client:
        client("s3").put_object(Bucket=bucket, Key="it", Body=b"works")
        assert client("s3").get_object(Bucket=bucket, Key="it")["Body"].read() == b"works"


@pytest.mark.parametrize(
    ("origin", "secure"),
    [
        (("127.0.0.1", False), True),
        (("::1", False), True),
        (("203.0.113.9", False), False),
        (("203.0.113.9", True), True),
    ],
)
def test_only_loopback_counts_as_tls_without_being_it(origin: tuple[str, bool], secure: bool) -> None:
    recorded: ContextVar[tuple[str, bool]] = ContextVar("recorded", default=origin)
    assert LoopbackIsSecure(recorded).get() == (origin[0], secure)


def test_engine_still_takes_loopback_for_plain_http() -> None:
    assert iam_evaluator._request_origin.get() == ("127.0.0.1", False)
