"""store_summary: the checked summary becomes what people see, what chat searches, and a fact on the bus.

Trigger: state StoreSummary of SummarizeDocument.
Writes:  summaries/<documentId>.json, the document's row, and what chat searches: index/<documentId>.json or, where
         parameter Retrieval says so, the passages in the knowledge base.
Emits:   DocumentSummarized, also for needs_review, which it says.    Idempotent by: document and causationId.
Retries: none of its own; raises Retryable where bucket, table, bus, embedding model or knowledge base is throttled or
         away. The event goes last, so that whoever hears of a summary finds it.
Refuses: a verdict that is not the check's (Rejected).
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.clients import client
from backbone.documents import (
    DocumentBucket,
    Draft,
    Grounding,
    SourceDocument,
    draft_key,
    grounding_key,
    index_key,
    passages_key,
    summary_key,
)
from backbone.json_objects import request
from backbone.knowledge_base import PassageOrigin, PassageWriter
from backbone.model import Model
from backbone.publishing import EventBus
from backbone.retrieval import build_index
from backbone.settings import from_environment
from stored_summary import StoreRequest, build_summary, publish, summarized_event
from summary_row import SummaryRow

# One embedding takes a fraction of a second; shorter than the function's own timeout (240 s).
MODEL_TIMEOUT_SECONDS = 20
# For as long the knowledge base may take to have the passages indexed; shorter than the function's own timeout, too.
INDEXING_SECONDS = 200
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    documents_table_name: str
    document_retention_days: int
    event_bus_name: str
    embedding_model_id: str
    knowledge_base_id: str = ""
    data_source_id: str = ""


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
bucket = DocumentBucket(client("s3"), settings.documents_bucket_name)
row = SummaryRow(client("dynamodb"), settings.documents_table_name, settings.document_retention_days)
bus = EventBus(client("events"), settings.event_bus_name)
model = Model(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), "", settings.embedding_model_id)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("SummariesReceived", MetricUnit.Count, 1)
    asked = request(StoreRequest, event)
    logger.append_keys(document_id=asked.document_id, correlation_id=asked.correlation_id)
    now = time.time()
    document = bucket.read(SourceDocument, passages_key(asked.document_id))
    draft = bucket.read(Draft, draft_key(asked.document_id, asked.attempt))
    grounding = bucket.read(Grounding, grounding_key(asked.document_id, asked.attempt))
    summary = build_summary(asked, document, grounding, draft.model, now)
    key = summary_key(asked.document_id)
    bucket.write(key, summary)
    if settings.knowledge_base_id:
        store_passages(asked, document, int(now) + settings.document_retention_days * _SECONDS_PER_DAY)
    else:
        store_index(asked, document)
    row.put(summary, asked.key, key, now)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    publish(summarized_event(asked, summary, key, trace), bus)
    metrics.add_metric(
        "DocumentsSummarized" if asked.status == "summarized" else "DocumentsToReview", MetricUnit.Count, 1
    )
    return {"summaryKey": key, "passagesIndexed": len(document.passages)}


def store_index(asked: StoreRequest, document: SourceDocument) -> None:
    """Embeds the document's passages and writes them with their vectors."""
    vectors = model.embed([passage.text for passage in document.passages])
    index = build_index(
        document.passages,
        vectors,
        document_id=asked.document_id,
        customer_id=asked.customer_id,
        file_name=asked.file_name or document.file_name,
        model=settings.embedding_model_id,
    )
    bucket.write(index_key(asked.document_id), index)


def store_passages(asked: StoreRequest, document: SourceDocument, expires_at: int) -> None:
    """Puts the document's passages into the knowledge base, which embeds them."""
    agents = client("bedrock-agent", MODEL_TIMEOUT_SECONDS)
    writer = PassageWriter(agents, settings.knowledge_base_id, settings.data_source_id)
    origin = PassageOrigin(asked.document_id, asked.customer_id, asked.file_name or document.file_name, expires_at)
    writer.put(document.passages, origin, seconds=INDEXING_SECONDS)
