"""expire_actions: rejects proposed actions that nobody decided on in time, and publishes events that rows still keep.

Trigger: ExpireActionsRule, every five minutes.
Emits:   ActionRejected (cause expired); ActionProposed, ActionApproved, ActionRejected, CaseClosed where a row still
         keeps one.     Idempotent by: the action's row (status, expiresAt), the case's row (status closing).
Retries: a table or the bus throttled or away, or an action that could not be ended; Lambda invokes twice more, then
         ExpireActionsDeadLetterQueue. The next run finds all that this one left.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from action_expiry import sweep
from backbone import contracts
from backbone.action_rows import ActionIndex, ActionRows
from backbone.actions import Occasion
from backbone.case_rows import CaseIndex, CaseRows
from backbone.clients import client
from backbone.errors import Retryable
from backbone.publishing import EventBus
from backbone.settings import from_environment
from case_outbox import tell_of_closed

PRODUCER = "expire_actions"


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    actions_status_index_name: str
    cases_table_name: str
    cases_status_index_name: str
    event_bus_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
actions = ActionRows(client("dynamodb"), settings.actions_table_name)
index = ActionIndex(client("dynamodb"), settings.actions_table_name, settings.actions_status_index_name)
cases = CaseRows(client("dynamodb"), settings.cases_table_name)
case_index = CaseIndex(client("dynamodb"), settings.cases_table_name, settings.cases_status_index_name)
bus = EventBus(client("events"), settings.event_bus_name)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - the clock says it all
    metrics.add_metric("ExpiryRuns", MetricUnit.Count, 1)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    swept = sweep(actions=actions, index=index, bus=bus, occasion=Occasion(time.time(), PRODUCER, trace))
    told, failures = tell_of_closed(cases=cases, index=case_index, bus=bus)
    metrics.add_metric("ActionsExpired", MetricUnit.Count, swept.expired)
    metrics.add_metric("KeptEventsPublished", MetricUnit.Count, swept.published + told)
    if swept.failures or failures:
        raise Retryable("; ".join((*swept.failures, *failures)))
    return {"expired": swept.expired, "published": swept.published + told}
