"""read_actions: what waits for an analyst's decision, and all that the decision rests on.

Trigger: GET /approvals and GET /approvals/{actionId} (API Gateway, Cognito). Who asks stands in the token.
Answers: 200; 403 for who is no analyst; 404 for an action that is not there; 503 a table cannot now.
Writes:  nothing.        Retries: none here; the caller asks again.
"""

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from action_views import view_action, view_list
from backbone.action_rows import ActionIndex, ActionRows, AttemptRows
from backbone.clients import client
from backbone.identity import caller_of
from backbone.rest import Answer, answer, answered
from backbone.settings import from_environment
from card_labels import CardLabels


@dataclass(frozen=True, slots=True)
class Settings:
    actions_table_name: str
    actions_status_index_name: str
    approval_attempts_table_name: str
    cards_table_name: str
    four_eyes_amount: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
actions = ActionRows(client("dynamodb"), settings.actions_table_name)
index = ActionIndex(client("dynamodb"), settings.actions_table_name, settings.actions_status_index_name)
attempts = AttemptRows(client("dynamodb"), settings.approval_attempts_table_name)
cards = CardLabels(client("dynamodb"), settings.cards_table_name)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ActionReads", MetricUnit.Count, 1)
    return answered(lambda: read(event), logger.warning)


def read(event: dict[str, Any]) -> Answer:
    caller, limit, now = caller_of(event), settings.four_eyes_amount, time.time()
    action_id = (event.get("pathParameters") or {}).get("actionId")
    if action_id is None:
        return answer(200, view_list(caller, index=index, four_eyes_amount=limit, now=now))
    view = view_action(
        caller, action_id, actions=actions, attempts=attempts, cards=cards, four_eyes_amount=limit, now=now
    )
    return answer(200, view)
