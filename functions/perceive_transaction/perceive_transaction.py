"""perceive_transaction: opens the case of a flagged transaction, and has the flag explained.

Trigger: state Perceive of InvestigateTransaction, once for each flag.
Writes:  the case's row and its step 1.
Emits:   CaseOpened.          Idempotent by: caseId, made from the flag's eventId.
Retries: none of its own; raises Retryable where a table, the bus or agent_tools is throttled or away (the state
         retries).
Answers: found false where the transaction is gone (its row expired while the flag waited).
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
from backbone.clients import client
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation
from backbone.json_objects import request
from backbone.publishing import EventBus
from backbone.settings import from_environment
from backbone.tool_calls import ToolFunction
from perception import Desk, perceive

PRODUCER = "perceive_transaction"
# Longer than agent_tools' own timeout (30 s), shorter than this function's.
TOOL_TIMEOUT_SECONDS = 35


@dataclass(frozen=True, slots=True)
class Settings:
    cases_table_name: str
    investigation_steps_table_name: str
    agent_tools_function_name: str
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    CaseRows(client("dynamodb"), settings.cases_table_name),
    InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name),
    ToolFunction(client("lambda", TOOL_TIMEOUT_SECONDS), settings.agent_tools_function_name, PRODUCER),
    EventBus(client("events"), settings.event_bus_name),
)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("TransactionsPerceived", MetricUnit.Count, 1)
    investigation = request(Investigation, event)
    logger.append_keys(case_id=investigation.case_id, correlation_id=investigation.correlation_id)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    occasion = Occasion(time.time(), PRODUCER, trace, investigation.causation_id)
    return {"found": perceive(investigation, desk, occasion)}
