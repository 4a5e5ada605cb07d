"""create_upload: lets a customer upload one document straight to the bucket, within a quarter of an hour.

Trigger: POST /documents (API Gateway, Cognito). Who uploads stands in the token, never in the body.
Answers: 201 with a presigned POST, bound to one key, type and size; 400 what is wrong with the request; 403 no
         customer; 503 the table cannot now.
Writes:  the document's row, status uploading. Idempotent: no need; an upload that nobody makes only leaves that row.
Retries: none here; the caller asks again.
"""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.identity import caller_of
from backbone.rest import Answer, answer, answered
from backbone.settings import from_environment
from upload_adapters import PresignedPosts, UploadRows, presigning_client
from uploads import offer_upload, parse_request


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    documents_table_name: str
    document_retention_days: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
posts = PresignedPosts(presigning_client(), settings.documents_bucket_name)
rows = UploadRows(client("dynamodb"), settings.documents_table_name, settings.document_retention_days)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("UploadRequests", MetricUnit.Count, 1)
    return answered(lambda: create(event), logger.warning)


def create(event: dict[str, Any]) -> Answer:
    offer = offer_upload(
        caller_of(event),
        parse_request(event.get("body")),
        posts=posts,
        rows=rows,
        document_id=str(uuid4()),
        now=time.time(),
    )
    metrics.add_metric("UploadsOffered", MetricUnit.Count, 1)
    logger.info("Upload offered.", document_id=offer.document_id)
    return answer(
        201,
        {
            "documentId": offer.document_id,
            "upload": {"url": offer.url, "fields": offer.fields},
            "expiresInSeconds": offer.expires_in_seconds,
        },
    )
