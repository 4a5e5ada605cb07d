"""start_document_summary: an object that arrived in the bucket starts its summary, once.

Trigger: SQS DocumentUploadsQueue, fed by rule DocumentUploadsRule (S3 "Object Created" below incoming/).
Starts:  SummarizeDocument, named from bucket, key and version.    Idempotent by: that name.
Writes:  the document's row (status processing).
Retries: the table or Step Functions throttled or away; a message that cannot be read fails too, so that it is kept
         (the message becomes visible again, 3 times in all, then DocumentUploadsDeadLetterQueue).
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from arrivals import arrival_of, begin
from backbone.clients import client
from backbone.settings import from_environment
from summary_starter import ProcessingRows, SummaryExecutions


@dataclass(frozen=True, slots=True)
class Settings:
    documents_table_name: str
    document_retention_days: int
    state_machine_arn: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
begin_summary = partial(
    begin,
    rows=ProcessingRows(client("dynamodb"), settings.documents_table_name, settings.document_retention_days),
    summaries=SummaryExecutions(client("stepfunctions"), settings.state_machine_arn),
)
processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("UploadsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, begin_from_record, processor, context)


def begin_from_record(record: SQSRecord) -> None:
    arrival = arrival_of(record.json_body)
    if arrival is None:
        logger.info("A folder is no document.", body=record.body)
        return
    if begin_summary(arrival, now=time.time()):
        metrics.add_metric("SummariesStarted", MetricUnit.Count, 1)
    else:
        metrics.add_metric("UploadsRepeated", MetricUnit.Count, 1)
