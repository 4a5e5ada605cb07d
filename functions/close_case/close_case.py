"""close_case: an analyst closes a case with what it came to, once; what is confirmed teaches the fraud features.

Trigger: POST /cases/{caseId}/close (API Gateway, Cognito). Who closes stands in the token, never in the body.
Answers: 200 with the outcome; 400 what is wrong with the request; 403 who may not; 404 no such case; 409 closed before,
         with what stands; 503 a service cannot now.
Emits:   CaseClosed; and CaseOpened or CaseEscalated first, where its producer could not publish it.
Writes:  outcome, who, when and the note onto the case's row, with the event. Idempotent by: the row's status.
Retries: none here; the caller asks again. An event that the bus did not take is published by expire_actions.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.actions import Occasion
from backbone.case_rows import CaseRows
from backbone.cases import Case
from backbone.clients import client
from backbone.publishing import EventBus
from backbone.rest import Answer, RefusedError, answer, answered
from backbone.settings import from_environment
from case_closing import ClosedBeforeError, Desk, close, parse_request, person_of

PRODUCER = "close_case"


@dataclass(frozen=True, slots=True)
class Settings:
    cases_table_name: str
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    cases=CaseRows(client("dynamodb"), settings.cases_table_name),
    bus=EventBus(client("events"), settings.event_bus_name),
    log=logger.warning,
)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ClosingRequests", MetricUnit.Count, 1)
    return answered(lambda: close_by(event), logger.warning)


def close_by(event: dict[str, Any]) -> Answer:
    person = person_of(event)
    request = parse_request((event.get("pathParameters") or {}).get("caseId"), event.get("body"))
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    try:
        case = close(person, request, desk, Occasion(time.time(), PRODUCER, trace))
    except ClosedBeforeError as before:
        metrics.add_metric("ClosingsRefused", MetricUnit.Count, 1)
        return answer(
            409, {"message": "This case was closed before; what stands is beside.", "case": view(before.case)}
        )
    except RefusedError as refused:
        metrics.add_metric("ClosingsRefused", MetricUnit.Count, 1)
        logger.warning("Not closed.", case_id=request.case_id, person_id=person.person_id, why=str(refused))
        raise
    metrics.add_metric("CasesClosed", MetricUnit.Count, 1)
    logger.info("Case closed.", case_id=case.case_id, person_id=person.person_id, outcome=case.outcome)
    return answer(200, view(case))


def view(case: Case) -> dict[str, str | None]:
    """How a closed case ended."""
    return {
        "caseId": case.case_id,
        "status": "closed",
        "outcome": case.outcome,
        "closedBy": case.closed_by,
        "closedAt": case.closed_at,
    }
