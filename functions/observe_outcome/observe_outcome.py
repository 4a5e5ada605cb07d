"""observe_outcome: what came of a step becomes facts.

Trigger: state Observe of InvestigateTransaction, after a look-up, or after an action was done or decided on.
Writes:  outcome and facts onto the step.      Idempotent by: caseId and step.
Retries: none of its own; raises Retryable where the table is throttled or away (the state retries).
"""

import time
from dataclasses import dataclass
from typing import Any, get_args

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.errors import Rejected
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation, Outcome
from backbone.json_objects import request
from backbone.settings import from_environment
from observing import observe

_OUTCOMES: dict[str, Outcome] = {outcome: outcome for outcome in get_args(Outcome.__value__)}


@dataclass(frozen=True, slots=True)
class Settings:
    investigation_steps_table_name: str


@dataclass(frozen=True, slots=True)
class ObserveRequest:
    """``step`` is the planned step's number; ``outcome`` how an action ended, absent for a look-up."""

    investigation: Investigation
    step: int
    outcome: str | None = None


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
steps = InvestigationRows(client("dynamodb"), settings.investigation_steps_table_name)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("OutcomesObserved", MetricUnit.Count, 1)
    asked = request(ObserveRequest, event)
    logger.append_keys(case_id=asked.investigation.case_id, correlation_id=asked.investigation.correlation_id)
    outcome = observe(asked.investigation, asked.step, _outcome(asked.outcome), steps=steps, now=time.time())
    logger.info("Observed.", step=asked.step, outcome=outcome)
    return {"outcome": outcome}


def _outcome(said: str | None) -> Outcome | None:
    if said is not None and said not in _OUTCOMES:
        raise Rejected(f"INTERNAL: no action ends as {said!r}")
    return None if said is None else _OUTCOMES[said]
