"""score_transactions: judges each card transaction as it streams in.

Trigger: Kinesis TransactionsStream, in order per card.
Emits:   TransactionFlagged for what crosses the model's threshold or breaks a grave rule; each transaction is a row.
         Idempotent by: transactionId.
Retries: a table, the bus, the quarantine or the model's endpoint throttled or away (the batch comes again from the
         first record that was not done, 10 times, then ScoreTransactionsDeadLetterQueue).
Refuses: what is not JSON, breaks its schema, is too large, too old or in the future (TransactionQuarantineQueue).
"""

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes import KinesisStreamEvent, event_source
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

import fraud_model
import sagemaker_model
from backbone import contracts
from backbone.clients import client
from backbone.publishing import EventBus
from backbone.settings import from_environment
from quarantine import Quarantine
from scoring import BatchResult, score_batch
from stream_records import StreamRecord
from transaction_store import CHUNK_SIZE, TransactionStore
from verdict import Scorer


@dataclass(frozen=True, slots=True)
class Settings:
    event_bus_name: str
    transactions_table_name: str
    profiles_table_name: str
    quarantine_queue_url: str
    quarantine_bucket_name: str
    row_retention_days: int
    fraud_model: str
    sagemaker_endpoint_name: str = ""


def scorer_for(settings: Settings, model: fraud_model.FraudModel) -> Scorer:
    """The scorer that the deployment chose; ValueError names a choice that there is not."""
    if settings.fraud_model == "embedded":
        return model.score
    if settings.fraud_model == "sagemaker" and settings.sagemaker_endpoint_name:
        return sagemaker_model.scorer(client("sagemaker-runtime"), settings.sagemaker_endpoint_name)
    raise ValueError(
        f"FRAUD_MODEL={settings.fraud_model!r} SAGEMAKER_ENDPOINT_NAME={settings.sagemaker_endpoint_name!r}"
    )


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
# The artefact also says the threshold and the reference row, so it is needed wherever the scores are computed.
model = fraud_model.load(Path(__file__).parent / "fraud_model.json")
score = partial(
    score_batch,
    store=TransactionStore(
        client("dynamodb"), settings.transactions_table_name, settings.profiles_table_name, settings.row_retention_days
    ),
    score=scorer_for(settings, model),
    facts=model,
    bus=EventBus(client("events"), settings.event_bus_name),
    quarantine=Quarantine(
        client("sqs"), partial(client, "s3"), settings.quarantine_queue_url, settings.quarantine_bucket_name
    ),
    chunk_size=CHUNK_SIZE,
)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@event_source(data_class=KinesisStreamEvent)
def handler(event: KinesisStreamEvent, _: LambdaContext) -> PartialItemFailureResponse:
    records = [stream_record(record) for record in event.records]
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    result = score(records, now=time.time(), traceparent=trace)
    measure(result, records)
    if result.failed_from is None:
        return {"batchItemFailures": []}
    return {"batchItemFailures": [{"itemIdentifier": result.failed_from}]}


def stream_record(record: KinesisStreamRecord) -> StreamRecord:
    """What the domain needs of a Kinesis record."""
    kinesis = record.kinesis
    return StreamRecord(
        event_id=record.event_id,
        sequence_number=kinesis.sequence_number,
        partition_key=kinesis.partition_key,
        arrived_at=kinesis.approximate_arrival_timestamp,
        data=kinesis.data_as_bytes(),
    )


def measure(result: BatchResult, records: list[StreamRecord]) -> None:
    """Counts what became of the batch, and how long its oldest record waited until it was done."""
    for name, count in (
        ("TransactionsScored", result.scored),
        ("TransactionsFlagged", result.flagged),
        ("RecordsQuarantined", result.refused),
        ("RecordsRepeated", result.repeated),
    ):
        metrics.add_metric(name, MetricUnit.Count, count)
    oldest = min(record.arrived_at for record in records)
    metrics.add_metric("ArrivalToRow", MetricUnit.Milliseconds, max(0.0, (time.time() - oldest) * 1000))
