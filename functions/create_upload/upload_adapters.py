"""Offered uploads in S3 (presigned POST) and DynamoDB (a row each)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backbone.contracts import timestamp
from backbone.errors import Retryable
from uploads import Upload

_SECONDS_PER_DAY = 86_400


def presigning_client() -> Any:  # boto3 makes its clients' classes at run time
    """A boto3 "s3" client whose presigned addresses name the region's own host, with Signature Version 4.

    By default boto3 signs for s3.amazonaws.com, which redirects for a bucket that is young or elsewhere, and a browser
    does not follow a redirected POST.
    """
    return boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


@dataclass(frozen=True, slots=True)
class PresignedPosts:
    """Uploads into ``bucket``. Signing calls nobody: S3 checks the policy, and the signer's grant, when it is used.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    """

    client: Any
    bucket: str

    def sign(self, upload: Upload, expires_in_seconds: int) -> tuple[str, Mapping[str, str]]:
        """Url and form fields for exactly this key, content type, size and encryption."""
        fields = {
            "Content-Type": upload.request.content_type,
            "x-amz-server-side-encryption": "AES256",
            "success_action_status": "201",
        }
        size = upload.request.size
        post = self.client.generate_presigned_post(
            self.bucket,
            upload.key,
            Fields=fields,
            Conditions=[{name: value} for name, value in fields.items()] + [["content-length-range", size, size]],
            ExpiresIn=expires_in_seconds,
        )
        return post["url"], post["fields"]


@dataclass(frozen=True, slots=True)
class UploadRows:
    """The table ``table`` (documentId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int

    def add(self, upload: Upload) -> None:
        """Writes the row, status uploading. Raises Retryable where the table cannot now."""
        created = timestamp(upload.created_at)
        try:
            self.client.put_item(
                TableName=self.table,
                Item={
                    "documentId": {"S": upload.document_id},
                    "customerId": {"S": upload.customer_id},
                    "fileName": {"S": upload.request.file_name},
                    "key": {"S": upload.key},
                    "status": {"S": "uploading"},
                    "createdAt": {"S": created},
                    "updatedAt": {"S": created},
                    "expiresAt": {"N": str(int(upload.created_at) + self.retention_days * _SECONDS_PER_DAY)},
                },
                ConditionExpression="attribute_not_exists(documentId)",
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"put_item {self.table}: {failed}") from failed
