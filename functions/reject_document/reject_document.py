"""reject_document: a document that cannot become a summary gets a reason that its owner can read.

Trigger: state RejectDocument of SummarizeDocument, for every error that a step ends with.
Writes:  the document's row (status rejected, reason). The uploaded object stays where it is.
Emits:   DocumentRejected.        Idempotent by: document and causationId.
Retries: none of its own; raises Retryable where the table or the bus is throttled or away (the state retries).
"""

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.clients import client
from backbone.json_objects import request
from backbone.publishing import EventBus
from backbone.settings import from_environment
from rejected_row import RejectedRow
from rejection import INTERNAL, MODEL_FAILED, RejectRequest, reject


@dataclass(frozen=True, slots=True)
class Settings:
    documents_table_name: str
    document_retention_days: int
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
# Codes that say nothing about the file: a model or a step of ours failed. An alarm hangs on their count.
_OUR_FAULT = (INTERNAL, MODEL_FAILED)
reject_once = partial(
    reject,
    rows=RejectedRow(client("dynamodb"), settings.documents_table_name, settings.document_retention_days),
    bus=EventBus(client("events"), settings.event_bus_name),
)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    metrics.add_metric("RejectionsAsked", MetricUnit.Count, 1)
    asked = request(RejectRequest, event)
    logger.append_keys(document_id=asked.document_id, correlation_id=asked.correlation_id)
    # What the customer is not told stands here, for whoever looks into it.
    logger.warning("A document is rejected.", error=asked.error, cause=asked.cause)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    rejection = reject_once(asked, now=time.time(), traceparent=trace)
    metrics.add_metric("DocumentsRejected", MetricUnit.Count, 1)
    metrics.add_metric("DocumentsFailed", MetricUnit.Count, int(rejection.code in _OUR_FAULT))
    metrics.add_metadata("code", rejection.code)
    return {"reason": rejection.reason}
