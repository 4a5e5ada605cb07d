"""Step Functions tasks: retry delays bounded and jittered, and work done by the state machine's own role.

AWS: "Handling errors in Step Functions workflows" (MaxDelaySeconds caps a retry's growing interval; JitterStrategy FULL
draws the delay between 0 and that), "How Step Functions works with IAM", "Invoke Lambda function with Step Functions",
"Perform DynamoDB CRUD operations with Step Functions" and "Using AWS service SDK integrations" (error names). The
engine ignores MaxDelaySeconds and JitterStrategy, never reads the role, and calls a throttled function's error unknown.

Checked against the role are functions, DynamoDB's items and SSM's parameters: what our definitions call.
"""

import json
import random
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc, stepfunctions

from local.overlay.authorization import refusal_of_role
from local.overlay.engine_hooks import Engine, original, replace

_INVOKE_FUNCTION = "states:::lambda:invoke"
_STATES = "states.amazonaws.com"
# The services whose calls are checked, each with its own error for a call that is not allowed: the optimized
# integration's, and the SDK integration's (whose resource says aws-sdk).
_ERRORS = {
    "states:::dynamodb": "DynamoDB.AmazonDynamoDBException",
    "states:::aws-sdk:dynamodb": "DynamoDb.DynamoDbException",
    "states:::aws-sdk:ssm": "Ssm.SsmException",
}
_role: ContextVar[str | None] = ContextVar("state_machine_role", default=None)


def install(_: Engine) -> None:
    """Wraps the engine's four functions that decide these things."""
    for name, wrapper in (
        ("_find_matching_retrier", _with_delay),
        ("_execute_task", _under_role),
        ("_invoke_resource", _with_grant),
        ("_call_lambda", _naming_throttles),
    ):
        replace(stepfunctions, name, partial(wrapper, original(stepfunctions, name)))
    # SDK integrations name errors as the SDK for Java does, which ends every name in Exception.
    original(stepfunctions, "_AWS_SDK_ERROR_CODE_OVERRIDES")["ssm"] = {
        "ParameterNotFound": "ParameterNotFoundException"
    }


def retry_delay(retrier: Mapping[str, Any], retries_before: int, draw: float) -> float:
    """Seconds to wait before the next attempt; ``draw`` in 0..1 is the jitter's."""
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** retries_before
    delay = min(delay, float(retrier.get("MaxDelaySeconds", delay)))
    return delay * draw if retrier.get("JitterStrategy") == "FULL" else delay


def _with_delay(find: Any, retriers: Sequence[Any], error: str, counts: Mapping[int, int]) -> tuple[Any, int]:
    # The engine waits IntervalSeconds x BackoffRate ^ retries: it is handed the delay itself, with a rate of one.
    retrier, index = find(retriers, error, counts)
    if retrier is None:
        return retrier, index
    delay = retry_delay(retrier, counts.get(index, 0), random.random())  # noqa: S311 - spreads load, keeps no secret
    return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index


def _under_role(execute: Any, state: Any, given: Any, execution: Any, context: Any) -> Any:
    machine = stepfunctions._state_machines.get((execution or {}).get("stateMachineArn", ""), {})
    token = _role.set(machine.get("roleArn"))
    try:
        return execute(state, given, execution, context)
    finally:
        _role.reset(token)


def _with_grant(invoke: Any, resource: str, given: Any) -> Any:
    role = _role.get()
    if role and _INVOKE_FUNCTION in resource:
        _require_invocation(role, str(given.get("FunctionName", "")))
    elif role:
        _require_call(role, resource, given)
    return invoke(resource, given)


def _require_invocation(role: str, function: str) -> None:
    _, config, _ = lambda_svc._get_func_record_for_ref(function)
    if not config:
        return  # the engine says that there is no such function
    refusal = refusal_of_role(role, _STATES, "lambda:InvokeFunction", config["FunctionArn"])
    if refusal:
        raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", refusal)


def _require_call(role: str, resource: str, given: Any) -> None:
    """Checks a call of a service; ``resource`` is "arn:aws:states:::dynamodb:updateItem" or the like."""
    integration, _, operation = resource.removeprefix("arn:aws:").rpartition(":")
    if integration not in _ERRORS:
        return
    service = integration.rpartition(":")[2]
    action = f"{service}:{operation[:1].upper()}{operation[1:]}"
    body = json.dumps(given).encode()
    # The engine's own reading of a request's resource, as at its HTTP edge.
    arn = iam_actions.extract_resource_arn(service, "POST", "/", {}, body, {}, get_region(), get_account_id())
    refusal = refusal_of_role(role, _STATES, action, arn)
    if refusal:
        raise stepfunctions._ExecutionError(_ERRORS[integration], refusal)


def _naming_throttles(call: Any, function: str, event: Any) -> Any:
    try:
        return call(function, event)
    except stepfunctions._ExecutionError as failed:
        if failed.error == "Lambda.Unknown" and "ConcurrentInvocationLimitExceeded" in str(failed.cause):
            raise stepfunctions._ExecutionError("Lambda.TooManyRequestsException", failed.cause) from failed
        raise
