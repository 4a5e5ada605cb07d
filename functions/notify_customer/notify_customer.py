"""notify_customer: tells a customer that a transaction of theirs was flagged, and what was done about it or their card.

Trigger: SQS NotifyCustomerQueue, fed by topic FraudAlerts (severity medium and high), by rule BlockedCardsRule
         (CardBlocked, not by the customer) and rule ChangesRule (CardUnblocked, TransactionReleased,
         TransactionRefunded, RefundReversed).
Emits:   CustomerNotified.        Idempotent by: metadata.eventId of the event that is told of.
Retries: the inbox, the idempotency table or the bus throttled or away; a message that cannot be read fails too, so that
         it is kept (the message becomes visible again, 3 times in all, then NotifyCustomerDeadLetterQueue).
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
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.persistence.dynamodb import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.clients import client
from backbone.contracts import Event
from backbone.publishing import EventBus
from backbone.settings import from_environment
from customer_inbox import CustomerInbox
from notifications import notify, read_event

# SQS brings a message again for at most four days (the queue's retention): what was done is remembered longer.
REMEMBERED_SECONDS = 5 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Settings:
    event_bus_name: str
    inbox_table_name: str
    idempotency_table_name: str
    notice_retention_days: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
inbox = CustomerInbox(client("dynamodb"), settings.inbox_table_name, settings.notice_retention_days)
bus = EventBus(client("events"), settings.event_bus_name)
done_before = DynamoDBPersistenceLayer(settings.idempotency_table_name, boto3_client=client("dynamodb"))
idempotency = IdempotencyConfig(event_key_jmespath="metadata.event_id", expires_after_seconds=REMEMBERED_SECONDS)
processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    idempotency.register_lambda_context(context)
    metrics.add_metric("AlertsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, notify_from_record, processor, context)


def notify_from_record(record: SQSRecord) -> None:
    notify_once(told_of=read_event(record.json_body))


@idempotent_function(  # type: ignore[untyped-decorator] # Powertools does not type what it decorates
    data_keyword_argument="told_of", persistence_store=done_before, config=idempotency
)
def notify_once(*, told_of: Event) -> dict[str, str]:
    """Notifies for ``told_of`` unless that was done before."""
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    notice = notify(told_of, inbox=inbox, bus=bus, now=time.time(), traceparent=trace)
    metrics.add_metric("CustomersNotified", MetricUnit.Count, 1)
    return {"notificationId": notice.notification_id}
