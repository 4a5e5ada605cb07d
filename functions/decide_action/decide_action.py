"""decide_action: an analyst approves or rejects a proposed action, once, on what they saw, and on record.

Trigger: POST /approvals/{actionId} (API Gateway, Cognito). Who decides stands in the token, never in the body.
Answers: 200 with the action's new status; 400 what is wrong with the request; 403 who may not; 404 no such action; 409
         decided before, expired, changed since it was seen; 503 a service cannot now.
Emits:   ActionApproved, ActionRejected; and ActionProposed first, where its producer could not publish it.
Writes:  the action's row and the attempt, at once; every refused attempt too. Idempotent by: the row's status; a
         decision that is sent again is refused, and changes nothing.
Retries: none here; the caller asks again.
"""

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.action_rows import ActionRows, AttemptRows, Trail
from backbone.actions import Occasion
from backbone.clients import client
from backbone.publishing import EventBus
from backbone.rest import Answer, RefusedError, answer, answered
from backbone.settings import from_environment
from decisions import Desk, decide, parse_request, person_of

PRODUCER = "decide_action"


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    approval_attempts_table_name: str
    event_bus_name: str
    four_eyes_amount: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
attempts = AttemptRows(client("dynamodb"), settings.approval_attempts_table_name)
desk = Desk(
    actions=ActionRows(client("dynamodb"), settings.actions_table_name),
    bus=EventBus(client("events"), settings.event_bus_name),
    four_eyes_amount=settings.four_eyes_amount,
    trail=partial(Trail, attempts),
    keep=attempts.add,
    log=logger.warning,
)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    metrics.add_metric("DecisionRequests", MetricUnit.Count, 1)
    return answered(lambda: decide_on(event, context.aws_request_id), logger.warning)


def decide_on(event: dict[str, Any], attempt_id: str) -> Answer:
    person = person_of(event)
    request = parse_request((event.get("pathParameters") or {}).get("actionId"), event.get("body"))
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    occasion = Occasion(time.time(), PRODUCER, trace)
    try:
        action = decide(person, request, desk, attempt_id=attempt_id, occasion=occasion)
    except RefusedError as refused:
        metrics.add_metric("DecisionsRefused", MetricUnit.Count, 1)
        logger.warning("Decision refused.", action_id=request.action_id, person_id=person.person_id, why=str(refused))
        raise
    metrics.add_metric("DecisionsMade", MetricUnit.Count, 1)
    logger.info("Decision made.", action_id=action.action_id, person_id=person.person_id, status=action.status)
    return answer(200, {"actionId": action.action_id, "status": action.status})
