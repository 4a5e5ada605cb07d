"""conclude_case: an investigation ends with a verdict, or gives its case to a person.

Trigger: states Conclude and Escalate of InvestigateTransaction.
Writes:  the case's row: outcome, who, when, why; what it took.
Emits:   CaseClosed, CaseEscalated; CaseOpened where the bus did not have it.
         Idempotent by: caseId (the row's status and escalatedAt).
Retries: none of its own; raises Retryable where a table or the bus is throttled or away (the states retry).
"""

import os
import time
from dataclasses import dataclass
from typing import Any, get_args

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.actions import Occasion
from backbone.case_rows import CaseRows
from backbone.cases import Reason
from backbone.clients import client
from backbone.errors import Rejected
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation
from backbone.json_objects import request
from backbone.publishing import EventBus
from backbone.settings import from_environment
from conclusion import Desk, conclude, escalate

PRODUCER = "conclude_case"
_REASONS: dict[str, Reason] = {reason: reason for reason in get_args(Reason.__value__)}


@dataclass(frozen=True, slots=True)
class Settings:
    cases_table_name: str
    investigation_steps_table_name: str
    event_bus_name: str


@dataclass(frozen=True, slots=True)
class ConcludeRequest:
    """``reason`` is why a person gets the case; absent where the last step is a verdict."""

    investigation: Investigation
    reason: str | None = None


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    CaseRows(client("dynamodb"), settings.cases_table_name),
    InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name),
    EventBus(client("events"), settings.event_bus_name),
)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("InvestigationsEnded", MetricUnit.Count, 1)
    asked = request(ConcludeRequest, event)
    logger.append_keys(case_id=asked.investigation.case_id, correlation_id=asked.investigation.correlation_id)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    occasion = Occasion(time.time(), PRODUCER, trace)
    if asked.reason is None:
        end = conclude(asked.investigation, desk, occasion)
    else:
        end = escalate(asked.investigation, _reason(asked.reason), desk, occasion)
    if end == "escalated":
        metrics.add_metric("CasesEscalated", MetricUnit.Count, 1)
    logger.info("Investigation ended.", end=end, reason=asked.reason)
    return {"end": end}


def _reason(said: str) -> Reason:
    if said not in _REASONS:
        raise Rejected(f"INTERNAL: no investigation ends for the reason {said!r}")
    return _REASONS[said]
