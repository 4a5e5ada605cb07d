"""Reads one version of an upload from the documents bucket, within the bound on its size."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from extraction_limits import MAXIMUM_UPLOAD_BYTES
from upload_refusals import refused

# S3's answers where an object or a version of it is no more, or never was. HEAD has no body and so no names.
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "NotFound", "MethodNotAllowed", "405"}


@dataclass(frozen=True, slots=True)
class UploadReader:
    """The bucket ``bucket`` behind ``client`` (boto3 "s3")."""

    client: Any
    bucket: str

    def read(self, key: str, version_id: str) -> bytes:
        """The bytes of one version: a later upload under the same key changes nothing.

        Raises Rejected where it is too large (before any of it is read) or gone, Retryable where S3 cannot now.
        """
        where = {"Bucket": self.bucket, "Key": key, "VersionId": version_id}
        try:
            size = self.client.head_object(**where)["ContentLength"]
            if size > MAXIMUM_UPLOAD_BYTES:
                raise refused(
                    "TOO_LARGE",
                    f"The file has {size / 1_000_000:.1f} MB, and we read {MAXIMUM_UPLOAD_BYTES // 1_000_000}. "
                    "Please split it or make its pictures smaller.",
                )
            data: bytes = self.client.get_object(**where)[
                "Body"
            ].read()  # a version never changes: as long as HEAD said
        except ClientError as failed:
            if failed.response["Error"]["Code"] in _GONE:
                raise refused("GONE", "The file was removed before it could be read. Please send it again.") from failed
            raise Retryable(f"read {key}: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"read {key}: {failed}") from failed
        return data
