"""`make model-publish`: the uploaded artefact is what SageMaker's container loads, under an address of its own."""

import io
import tarfile

import boto3
import pytest
from moto import mock_aws

from local.publish_model import publish


@pytest.fixture
def bucket() -> str:
    return "models"


@mock_aws
def test_published_model_is_an_archive_with_the_one_model_file(bucket: str) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    address = publish(bucket)

    assert address.startswith(f"s3://{bucket}/fraud-model/")
    content = s3.get_object(Bucket=bucket, Key=address.removeprefix(f"s3://{bucket}/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        assert archive.getnames() == ["xgboost-model"]
    assert publish(bucket) == address
