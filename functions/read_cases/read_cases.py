"""read_cases: the open cases, and one case with the score and the reasons of the transaction that it is about.

Trigger: GET /cases and GET /cases/{caseId} (API Gateway, Cognito). Who asks stands in the token.
Answers: 200; 403 for another customer's cases; 404 for a case that is not there or not theirs; 503 a table cannot now.
Writes:  nothing.        Retries: none here; the caller asks again.
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.case_rows import CaseIndex, CaseRows
from backbone.clients import client
from backbone.identity import caller_of
from backbone.investigation_rows import InvestigationRows
from backbone.rest import Answer, answer, answered
from backbone.settings import from_environment
from case_transactions import CaseTransactions
from case_views import view_case, view_list


@dataclass(frozen=True, slots=True)
class Settings:
    cases_table_name: str
    cases_status_index_name: str
    cases_customer_index_name: str
    transactions_table_name: str
    investigation_steps_table_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
cases = CaseRows(client("dynamodb"), settings.cases_table_name)
index = CaseIndex(
    client("dynamodb"), settings.cases_table_name, settings.cases_status_index_name, settings.cases_customer_index_name
)
transactions = CaseTransactions(client("dynamodb"), settings.transactions_table_name)
steps = InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("CaseReads", MetricUnit.Count, 1)
    return answered(lambda: read(event), logger.warning)


def read(event: dict[str, Any]) -> Answer:
    caller = caller_of(event)
    case_id = (event.get("pathParameters") or {}).get("caseId")
    if case_id is None:
        customer_id = (event.get("queryStringParameters") or {}).get("customerId")
        return answer(200, view_list(caller, customer_id, index=index))
    return answer(200, view_case(caller, case_id, cases=cases, transactions=transactions, steps=steps))
