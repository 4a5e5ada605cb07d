"""What EventBridge hears of an upload."""

import inspect
import json
from uuid import uuid4

from ministack.services import s3 as engines_s3

from tests.engine.queues import a_queue
from tests.engine.stacks import Client


def test_created_object_of_a_versioned_bucket_is_told_with_its_version(aws: Client) -> None:
    s3, events, bucket = aws("s3"), aws("events"), f"versioned-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    queue = a_queue(aws, "events.amazonaws.com")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bucket, Targets=[{"Id": "queue", "Arn": queue.arn}])
    versions = [s3.put_object(Bucket=bucket, Key="a/b.txt", Body=body)["VersionId"] for body in (b"one", b"two")]
    told = [json.loads(message["Body"])["detail"]["object"] for message in queue.receive(2)]
    assert {one["version-id"] for one in told} == set(versions)
    assert {one["key"] for one in told} == {"a/b.txt"}


def test_engine_still_leaves_the_version_out() -> None:
    assert "version-id" not in inspect.getsource(engines_s3._fire_s3_event)
