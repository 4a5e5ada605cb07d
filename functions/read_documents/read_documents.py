"""read_documents: what became of a document, its summary with the passages behind each sentence, and a customer's list.

Trigger: GET /documents and GET /documents/{documentId} (API Gateway, Cognito). Who asks stands in the token.
Answers: 200; 404 for a document that is not there or is somebody else's, which look alike on purpose; 400, 403 for a
         list of nobody's or of another's; 503 the table or the bucket cannot now.
Writes:  nothing.        Retries: none here; the caller asks again.
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.documents import DocumentBucket
from backbone.identity import caller_of
from backbone.rest import Answer, answer, answered
from backbone.settings import from_environment
from document_rows import DocumentRows
from document_views import view_document, view_list


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    documents_table_name: str
    documents_index_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
rows = DocumentRows(client("dynamodb"), settings.documents_table_name, settings.documents_index_name)
bucket = DocumentBucket(client("s3"), settings.documents_bucket_name)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("DocumentReads", MetricUnit.Count, 1)
    return answered(lambda: read(event), logger.warning)


def read(event: dict[str, Any]) -> Answer:
    caller = caller_of(event)
    document_id = (event.get("pathParameters") or {}).get("documentId")
    if document_id is None:
        customer_id = (event.get("queryStringParameters") or {}).get("customerId")
        return answer(200, view_list(caller, customer_id, rows=rows))
    return answer(200, view_document(caller, document_id, rows=rows, bucket=bucket))
