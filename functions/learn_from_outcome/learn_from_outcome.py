"""learn_from_outcome: what analysts confirm as fraud, or as genuine, flows back into the fraud model's features.

Trigger: SQS OutcomesQueue, fed by rule OutcomesRule (CaseClosed, confirmed_fraud or genuine).
Writes:  the label onto the transaction's row, and the terminal's count of known frauds, at once.
         Idempotent by: the case on the row (labelCaseId) and when it was closed.
Retries: a table throttled or away, another case's label at the same moment; a message that cannot be read, or whose
         transaction is another customer's, fails too, so that it is kept (the message becomes visible again, 3 times in
         all, then OutcomesDeadLetterQueue).
"""

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
from backbone.clients import client
from backbone.settings import from_environment
from label_rows import LabelRows
from outcome_learning import learn


@dataclass(frozen=True, slots=True)
class Settings:
    transactions_table_name: str
    profiles_table_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
labels = LabelRows(client("dynamodb"), settings.transactions_table_name, settings.profiles_table_name)
# A batch that failed as a whole is given back message by message too: cases mostly close one at a time.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("OutcomesReceived", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, learn_from_record, processor, context)


def learn_from_record(record: SQSRecord) -> None:
    closed = contracts.parse("CaseClosed", record.json_body)
    result = learn(closed, labels)
    metrics.add_metric("OutcomesLearned", MetricUnit.Count, 1 if result == "learned" else 0)
    metrics.add_metric("OutcomesForgotten", MetricUnit.Count, 1 if result == "forgotten" else 0)
    logger.info("Outcome.", case_id=closed.data["caseId"], outcome=closed.data["outcome"], result=result)
