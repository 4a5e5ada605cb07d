"""carry_out_action: does what analysts approved: blocks a card, pays a transaction back, lets a flagged one go.

Trigger: SQS ApprovedActionsQueue, fed by rule ApprovedActionsRule (ActionApproved).
Emits:   CardBlocked, TransactionRefunded, TransactionReleased; ActionRejected (cause nothing_to_do) for what else
         waited for the same. Before each what its row still keeps, where its producer could not publish it.
         Idempotent by: actionId (the action's row).
Retries: a table or the bus throttled or away, a row that changed meanwhile; what nobody here can do, and an approval
         that no row knows of, fail too, so that they are kept (the message becomes visible again, 3 times in all, then
         ApprovedActionsDeadLetterQueue).
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
from backbone.action_rows import ActionRowsByCard
from backbone.card_block_rows import CardBlockRows
from backbone.case_rows import CaseRows
from backbone.clients import client
from backbone.publishing import EventBus
from backbone.settings import from_environment
from backbone.transaction_change_rows import TransactionChangeRows
from carrying_out import Desk, carry_out

PRODUCER = "carry_out_action"


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    actions_card_index_name: str
    cards_table_name: str
    transactions_table_name: str
    cases_table_name: str
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    actions=ActionRowsByCard(client("dynamodb"), settings.actions_table_name, settings.actions_card_index_name),
    cards=CardBlockRows(
        client("dynamodb"), settings.cards_table_name, settings.actions_table_name, settings.transactions_table_name
    ),
    transactions=TransactionChangeRows(
        client("dynamodb"), settings.transactions_table_name, settings.actions_table_name
    ),
    cases=CaseRows(client("dynamodb"), settings.cases_table_name),
    bus=EventBus(client("events"), settings.event_bus_name),
)
# A batch that failed as a whole is given back message by message too: approvals mostly come one at a time.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("ApprovalsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, carry_out_from_record, processor, context)


def carry_out_from_record(record: SQSRecord) -> None:
    approval = contracts.parse("ActionApproved", record.json_body)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    result = carry_out(approval, desk, contracts.caused_by(approval, time.time(), PRODUCER, trace))
    metrics.add_metric("ActionsCarriedOut", MetricUnit.Count, 1)
    logger.info("Action carried out.", action_id=approval.data["actionId"], result=result)
