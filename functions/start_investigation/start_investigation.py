"""start_investigation: a flagged transaction wakes an investigation, once.

Trigger: SQS InvestigationsQueue, fed by topic FraudAlerts (filter: severity >= medium).
Starts:  InvestigateTransaction, named by the flag's metadata.eventId.    Idempotent by: that name.
Retries: Step Functions throttled or away; a message that cannot be read, and a flag that lies too deep in a chain of
         events, fail too, so that they are kept (the message becomes visible again, 3 times in all, then
         InvestigationsDeadLetterQueue).
"""

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

from backbone import contracts
from backbone.clients import client
from backbone.executions import Executions
from backbone.settings import from_environment
from flagged_cases import begin


@dataclass(frozen=True, slots=True)
class Settings:
    investigation_machine_arn: str
    maximum_causation_depth: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
begin_investigation = partial(
    begin,
    investigations=Executions(client("stepfunctions"), settings.investigation_machine_arn),
    maximum_depth=settings.maximum_causation_depth,
)
# A batch that failed as a whole is given back message by message too: flags mostly come one at a time.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("FlagsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, begin_from_record, processor, context)


def begin_from_record(record: SQSRecord) -> None:
    flag = contracts.parse("TransactionFlagged", record.json_body)
    if begin_investigation(flag):
        metrics.add_metric("InvestigationsStarted", MetricUnit.Count, 1)
    else:
        metrics.add_metric("FlagsRepeated", MetricUnit.Count, 1)
