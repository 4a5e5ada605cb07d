"""plan_next_action: what an investigation does next, as a model chooses among what the rules allow.

Trigger: state Plan of InvestigateTransaction, once for each turn of its loop.
Writes:  the step, with its reasoning, its evidence and what it cost.      Idempotent by: caseId and step.
Retries: none of its own; raises Retryable where the model or a table is throttled or away (the state retries).
Refuses: an answer that is cut off, withheld or of another shape (Rejected, MODEL_FAILED): a person gets the case.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.case_rows import CaseRows
from backbone.clients import client
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation
from backbone.json_objects import request
from backbone.model import Answer, Model
from backbone.settings import from_environment
from backbone.token_usage import cost, measure
from planning import Desk, plan

# Shorter than the function's own timeout (90 s), so that a model that hangs is seen as one.
MODEL_TIMEOUT_SECONDS = 75


@dataclass(frozen=True, slots=True)
class Settings:
    cases_table_name: str
    investigation_steps_table_name: str
    model_id: str
    input_token_price: int = 0
    output_token_price: int = 0


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """``step`` is the number of the step to plan: 2 for the first after perceiving."""

    investigation: Investigation
    step: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
cases = CaseRows(client("dynamodb"), settings.cases_table_name)
steps = InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name)
model = Model(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), settings.model_id)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("MovesAsked", MetricUnit.Count, 1)
    asked = request(PlanRequest, event)
    logger.append_keys(case_id=asked.investigation.case_id, correlation_id=asked.investigation.correlation_id)
    desk = Desk(cases, steps, model, measure_answer, partial(cost, prices=settings))
    planned = plan(asked.investigation, asked.step, desk, time.time())
    logger.info("Planned.", step=asked.step, move=planned.move)
    spent = planned.totals
    answer: dict[str, Any] = {
        "kind": planned.kind,
        "move": planned.move,
        "tokens": spent.input_tokens + spent.output_tokens,
        "costMicroDollars": spent.cost_micro_dollars,
    }
    return answer if planned.reason is None else answer | {"reason": planned.reason}


def measure_answer(answer: Answer) -> None:
    measure(metrics, answer, settings)
