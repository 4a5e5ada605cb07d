"""compensate_outcome: undoes what was done about a transaction that turned out to be something else.

Trigger: SQS CompensationsQueue, fed by rule CompensationsRule (CaseClosed about a transaction, confirmed_fraud or
         genuine).
Emits:   CardUnblocked, RefundReversed, TransactionReleaseWithdrawn. Before each what its row still keeps, where its
         producer could not publish it.
Writes:  which outcome stands onto the transaction's row, then what is undone, each with its event.
         Idempotent by: the case on the row (standingCaseId), when it was closed, and what is left to undo.
Retries: a table or the bus throttled or away, a row that changed meanwhile; a message that cannot be read, or that no
         case's row knows of, fails too, so that it is kept (the message becomes visible again, 3 times in all, then
         CompensationsDeadLetterQueue).
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.action_rows import ActionRows
from backbone.card_block_rows import CardBlockRows
from backbone.case_rows import CaseRows
from backbone.clients import client
from backbone.publishing import EventBus
from backbone.settings import from_environment
from backbone.transaction_change_rows import StandingFrauds, TransactionChangeRows
from compensation import Desk, compensate

PRODUCER = "compensate_outcome"


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    cards_table_name: str
    cases_table_name: str
    transactions_table_name: str
    transactions_index_name: str
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    actions=ActionRows(client("dynamodb"), settings.actions_table_name),
    cards=CardBlockRows(
        client("dynamodb"), settings.cards_table_name, settings.actions_table_name, settings.transactions_table_name
    ),
    transactions=TransactionChangeRows(
        client("dynamodb"), settings.transactions_table_name, settings.actions_table_name
    ),
    frauds=StandingFrauds(client("dynamodb"), settings.transactions_table_name, settings.transactions_index_name),
    cases=CaseRows(client("dynamodb"), settings.cases_table_name),
    bus=EventBus(client("events"), settings.event_bus_name),
)
# A batch that failed as a whole is given back message by message too: cases mostly close one at a time.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("VerdictsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, compensate_from_record, processor, context)


def compensate_from_record(record: SQSRecord) -> None:
    closed = contracts.parse("CaseClosed", record.json_body)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    result = compensate(closed, desk, contracts.caused_by(closed, time.time(), PRODUCER, trace))
    metrics.add_metric("VerdictsCompensated", MetricUnit.Count, 1 if result == "compensated" else 0)
    metrics.add_metric("VerdictsForgotten", MetricUnit.Count, 1 if result == "forgotten" else 0)
    logger.info("Verdict.", case_id=closed.data["caseId"], outcome=closed.data["outcome"], result=result)
