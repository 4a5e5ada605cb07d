"""request_action: asks for the action that a step planned; the investigation waits for what comes of it.

Trigger: state RequestAction of InvestigateTransaction (lambda:invoke.waitForTaskToken).
Does:    runs the step's tool through agent_tools, for the agent and nobody else; keeps its answer on the step.
Resumes: the execution, with {"outcome": ...}, where that is known at once; else resume_investigation does.
Writes:  the step; ActionTokensTable: the task token, encrypted.    Idempotent by: case and step, from which the action
         has its id; the latest attempt's token counts.
Retries: none of its own; raises Retryable where a table, agent_tools, KMS or Step Functions is throttled or away, and
         the state machine tries again, with a new token. An attempt that was given up meanwhile ends as stale.
Refuses: a step that is not there, or asks for no action (Rejected).
"""

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from action_request import ActionRequest, Desk, ask
from backbone.action_rows import ActionRows
from backbone.action_tokens import TokenRows, TokenSeal, WaitingExecutions
from backbone.clients import client
from backbone.investigation_rows import InvestigationRows
from backbone.json_objects import request
from backbone.settings import from_environment
from backbone.tool_calls import ToolFunction

# agent_tools gives up after 30 s; shorter than the function's own timeout (60 s).
TOOL_TIMEOUT_SECONDS = 32
METRICS = {"resumed": "RequestsResumed", "waiting": "RequestsWaiting", "stale": "RequestsStale"}


@dataclass(frozen=True, slots=True)
class Settings:
    investigation_steps_table_name: str
    actions_table_name: str
    action_tokens_table_name: str
    action_tokens_key_arn: str
    agent_tools_function_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
desk = Desk(
    steps=InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name),
    actions=ActionRows(client("dynamodb"), settings.actions_table_name),
    tools=ToolFunction(client("lambda", TOOL_TIMEOUT_SECONDS), settings.agent_tools_function_name, "request_action"),
    seal=TokenSeal(client("kms"), settings.action_tokens_key_arn),
    tokens=TokenRows(client("dynamodb"), settings.action_tokens_table_name),
    executions=WaitingExecutions(client("stepfunctions")),
)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("ActionRequests", MetricUnit.Count, 1)
    now = time.time()
    asked = request(ActionRequest, event)
    logger.append_keys(case_id=asked.investigation.case_id, correlation_id=asked.investigation.correlation_id)
    result = ask(asked, desk, now)
    metrics.add_metric(METRICS[result], MetricUnit.Count, 1)
    logger.info("Action requested.", step=asked.step, result=result)
    return {}
