"""act_on_plan: runs the look-up that an investigation planned.

Trigger: state Act of InvestigateTransaction.
Writes:  the tool's answer onto the step.      Idempotent by: caseId and step; look-ups change nothing at the bank.
Retries: none of its own; raises Retryable where a table or agent_tools is throttled or away (the state retries).
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from acting import act
from backbone.clients import client
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation
from backbone.json_objects import request
from backbone.settings import from_environment
from backbone.tool_calls import ToolFunction

CALLER = "act_on_plan"
# Longer than agent_tools' own timeout (30 s), shorter than this function's.
TOOL_TIMEOUT_SECONDS = 35


@dataclass(frozen=True, slots=True)
class Settings:
    investigation_steps_table_name: str
    agent_tools_function_name: str


@dataclass(frozen=True, slots=True)
class ActRequest:
    """``step`` is the planned step's number."""

    investigation: Investigation
    step: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
steps = InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name)
tools = ToolFunction(client("lambda", TOOL_TIMEOUT_SECONDS), settings.agent_tools_function_name, CALLER)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("LookUpsMade", MetricUnit.Count, 1)
    asked = request(ActRequest, event)
    logger.append_keys(case_id=asked.investigation.case_id, correlation_id=asked.investigation.correlation_id)
    tool = act(asked.investigation, asked.step, steps=steps, tools=tools)
    logger.info("Looked up.", step=asked.step, tool=tool)
    return {"tool": tool}
