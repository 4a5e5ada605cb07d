"""resume_investigation: an investigation that waits for a decision goes on once there is one.

Trigger: SQS DecisionsQueue, fed by rule DecisionsRule (ActionApproved and ActionRejected of a case's actions).
Resumes: the execution of InvestigateTransaction that waits for the action, with {"outcome": "approved", "rejected",
         "expired" or "nothing_to_do"}, as the action's row says.    Idempotent by: the task token, which serves once.
Writes:  ActionTokensTable: the token is gone once it was used.
Retries: a table, KMS or Step Functions throttled or away; a token that nobody waits with though the step has no outcome
         yet (an attempt may be on its way with a new one). A decision that no row knows of, and a token that does not
         open, fail too, so that they are kept (the message becomes visible again, 5 times in all, then
         DecisionsDeadLetterQueue).
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

from backbone.action_rows import ActionRows
from backbone.action_tokens import TokenRows, TokenSeal, WaitingExecutions
from backbone.clients import client
from backbone.investigation_rows import InvestigationRows
from backbone.settings import from_environment
from resumption import decision_event, resume

METRICS = {"resumed": "InvestigationsResumed", "nobody_waits": "DecisionsNobodyWaitsFor"}


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    action_tokens_table_name: str
    action_tokens_key_arn: str
    investigation_steps_table_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
resume_waiting = partial(
    resume,
    actions=ActionRows(client("dynamodb"), settings.actions_table_name),
    tokens=TokenRows(client("dynamodb"), settings.action_tokens_table_name),
    seal=TokenSeal(client("kms"), settings.action_tokens_key_arn),
    steps=InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name),
    executions=WaitingExecutions(client("stepfunctions")),
)
# A batch that failed as a whole is given back message by message too: decisions mostly come one at a time.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("DecisionsReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, resume_from_record, processor, context)


def resume_from_record(record: SQSRecord) -> None:
    decision = decision_event(record.json_body)
    result = resume_waiting(decision)
    metrics.add_metric(METRICS[result], MetricUnit.Count, 1)
    logger.info(
        "Decision received.", action_id=decision.data["actionId"], case_id=decision.data.get("caseId"), result=result
    )
